//! Standard output, and reading files while writing to it.

use std::io::{self, BufWriter, Stdout, Write};
use std::path::PathBuf;

use anyhow::Context;
use dfly_rdb::{Event, ValueError};
use dfly_wire::DbIndex;
use serde::Serialize;

use super::Session;
use super::files::{Head, Part, open, resolve};
use super::progress::Progress;
use super::text::ByteForm;
use crate::exit::Failure;

/// Standard output. If its reader closes it, the command ends silently.
pub(super) struct Out(BufWriter<Stdout>);

impl Out {
    pub(super) fn new() -> Self {
        Self(BufWriter::with_capacity(64 << 10, io::stdout()))
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.0.write_all(bytes).map_err(Failure::of_output)
    }

    pub(super) fn line(&mut self, line: &str) -> Result<(), Failure> {
        self.bytes(line.as_bytes())?;
        self.bytes(b"\n")
    }

    /// One JSON value on a line of its own.
    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).context("cannot write JSON")?;
        self.line(&text)
    }

    /// Copies all of `from`.
    pub(super) fn copy(&mut self, from: &mut impl io::Read) -> Result<(), Failure> {
        io::copy(from, &mut self.0).map(|_bytes| ()).map_err(Failure::of_output)
    }

    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.0.flush().map_err(Failure::of_output)
    }
}

/// Passes every event of the named files to `take`, with the head of its file. Returns the files.
///
/// `output_grows` means that results appear while the files are read.
pub(super) fn read_all(
    files: &[PathBuf],
    session: &Session<'_>,
    output_grows: bool,
    mut take: impl FnMut(Event, &Head) -> Result<(), Failure>,
) -> Result<Vec<Part>, Failure> {
    let parts = resolve(files)?;
    let total = parts.iter().map(|part| part.size).sum();
    let mut progress = Progress::new(session.console, total, output_grows);
    let mut before = 0;
    for part in &parts {
        let mut reader = open(&part.path, session.config).with_context(|| part.name())?;
        while let Some(event) = reader.next_event().with_context(|| part.name())? {
            if matches!(event, Event::JournalBlob(_)) {
                return Err(Failure::Other(anyhow::anyhow!("{}: {JOURNAL}", part.name())));
            }
            take(event, &part.head)?;
            progress.at(before + reader.offset());
        }
        before += part.size;
    }
    Ok(parts)
}

const JOURNAL: &str = "this is a replication stream with journal records; only snapshots can be read";

/// The failure for a damaged value.
pub(super) fn damaged(key: &[u8], db: DbIndex, error: ValueError) -> Failure {
    let key = shown(key);
    let error = anyhow::Error::new(error);
    Failure::Other(error.context(format!("the value of key {key} in database {db} cannot be read")))
}

/// A key as messages show it: escaped and cut after 200 bytes.
pub(super) fn shown(key: &[u8]) -> String {
    let (head, more) = key.split_at_checked(200).map_or((key, ""), |(head, _)| (head, "..."));
    format!("\"{}\"{more}", ByteForm::Escaped.text(head))
}
