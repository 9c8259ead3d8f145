//! `inspect json`: keys with their values, one object per line.

use std::collections::HashMap;
use std::io::{Seek, Write};

use anyhow::Context;
use dfly_rdb::{Elements, Entry, Event, KeyHeader, Piece, TypeId, ValueError, ValueId};
use tempfile::SpooledTempFile;

use super::Session;
use super::facts;
use super::files::Head;
use super::flags::JsonFlags;
use super::out::{Out, damaged, read_all};
use super::row::{RowText, RowWriter};
use super::select::Select;
use crate::exit::Failure;

/// Bytes of a value in parts that are kept in memory. A larger value goes to a temporary file.
const SPOOL: usize = 1 << 20;

/// A key whose value arrives in parts. Several rows may grow at the same time, and each is one line.
struct Growing {
    header: KeyHeader,
    encoding: &'static str,
    row: RowWriter,
    value: SpooledTempFile,
    expiries: SpooledTempFile,
}

pub(super) fn run(flags: &JsonFlags, session: &Session<'_>) -> Result<(), Failure> {
    let mut select = Select::new(&flags.select)?;
    let (mut open, mut out) = (HashMap::<ValueId, Growing>::new(), Out::new());
    read_all(&flags.files, session, true, |event, head| {
        if !select.takes(&event) {
            return Ok(());
        }
        match event {
            Event::Entry(entry) => whole(&entry, (session, head), &mut out)?,
            Event::Open { id, header, type_id } => {
                open.insert(id, Growing::new(header, type_id, (session, head)));
            }
            Event::Piece { id, piece } => {
                if let Some(growing) = open.get_mut(&id) {
                    growing.piece(&piece)?;
                }
            }
            Event::Close { id } => {
                if let Some(growing) = open.remove(&id).filter(|growing| select.kind(growing.row.kind())) {
                    growing.end(&mut out)?;
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    out.finish()
}

fn whole(entry: &Entry, (session, head): (&Session<'_>, &Head), out: &mut Out) -> Result<(), Failure> {
    let (header, value) = (&entry.header, &entry.value);
    let mut row = RowWriter::new(value.type_id(), session.form, head.written_at).whole();
    let mut text = RowText::default();
    let encoding = add(&mut row, value.elements(), &mut text).and_then(|()| facts::encoding(value));
    let encoding = encoding.map_err(|error| damaged(&header.key, header.db, error))?;
    row.end(&mut text);
    out.bytes(&row.head(header, encoding))?;
    out.bytes(&text.value)?;
    if let Some((before, behind)) = row.expiry_frame() {
        [before, &text.expiries, behind].into_iter().try_for_each(|part| out.bytes(part))?;
    }
    out.bytes(b"}\n")
}

fn add(row: &mut RowWriter, elements: Elements<'_>, text: &mut RowText) -> Result<(), ValueError> {
    for element in elements {
        row.element(element?, text);
    }
    Ok(())
}

impl Growing {
    fn new(header: KeyHeader, type_id: TypeId, (session, head): (&Session<'_>, &Head)) -> Self {
        let row = RowWriter::new(type_id, session.form, head.written_at);
        let spool = || SpooledTempFile::new(SPOOL);
        Self { header, encoding: type_id.encoding_name(), row, value: spool(), expiries: spool() }
    }

    fn piece(&mut self, piece: &Piece) -> Result<(), Failure> {
        let mut text = RowText::default();
        let header = &self.header;
        add(&mut self.row, piece.elements(), &mut text)
            .map_err(|error| damaged(&header.key, header.db, error))?;
        self.keep(&text)
    }

    fn keep(&mut self, text: &RowText) -> Result<(), Failure> {
        let kept = self.value.write_all(&text.value).and_then(|()| self.expiries.write_all(&text.expiries));
        Ok(kept.context("cannot write a temporary file")?)
    }

    fn end(mut self, out: &mut Out) -> Result<(), Failure> {
        let mut text = RowText::default();
        self.row.end(&mut text);
        self.keep(&text)?;
        let rewound = self.value.rewind().and_then(|()| self.expiries.rewind());
        rewound.context("cannot read a temporary file")?;
        out.bytes(&self.row.head(&self.header, self.encoding))?;
        out.copy(&mut self.value)?;
        if let Some((before, behind)) = self.row.expiry_frame() {
            out.bytes(before)?;
            out.copy(&mut self.expiries)?;
            out.bytes(behind)?;
        }
        out.bytes(b"}\n")
    }
}
