//! `inspect convert`: writes an RDB file that a given server version loads.

use std::collections::HashMap;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use dfly_rdb::payload::TargetFormat;
use dfly_rdb::write::{RdbWriter, ValueWriter, Written};
use dfly_rdb::{Entry, Event, Family, KeyHeader, Piece, TypeId, ValueId, ValueKind};
use dfly_translate::Loss;
use dfly_wire::DbIndex;
use serde_json::json;
use tempfile::SpooledTempFile;

use super::Session;
use super::files::Head;
use super::flags::{ConvertFlags, Format};
use super::losses::LeftOut;
use super::out::{Out, damaged, read_all};
use super::partial::Partial;
use super::resp::beside_keys;
use super::select::Select;
use crate::commands::progress::size;
use crate::exit::Failure;

/// Bytes of a value in parts that are kept in memory. A larger value goes to a temporary file beside the output.
const SPOOL: usize = 1 << 20;

/// At this number of bytes, the buffer is written to the file.
const FLUSH: usize = 256 << 10;

/// A value that arrives in parts. The file needs its element count before its elements, and other values may arrive between
/// the parts.
struct Growing {
    header: KeyHeader,
    /// `None` if the server cannot hold the value.
    value: Option<ValueWriter>,
    body: SpooledTempFile,
    lost_expiries: bool,
}

#[derive(Debug, Default)]
struct Counts {
    verbatim: u64,
    reencoded: u64,
}

struct Conversion<'a> {
    target: TargetFormat,
    writer: RdbWriter,
    left_out: LeftOut<'a>,
    open: HashMap<ValueId, Growing>,
    folder: PathBuf,
    /// The database that the next size hints belong to.
    db: DbIndex,
    begun: bool,
    /// Output that is not in the file yet.
    buffer: Vec<u8>,
    file: Partial,
    counts: Counts,
}

pub(super) fn run(flags: &ConvertFlags, session: &Session<'_>) -> Result<(), Failure> {
    if flags.out.exists() && !flags.force {
        return Err(Failure::Usage(format!("{} already exists; --force replaces it", flags.out.display())));
    }
    let mut select = Select::new(&flags.select)?;
    let mut conversion = Conversion::new(flags, session)?;
    read_all(&flags.files, session, false, |event, head| {
        if select.takes(&event) { conversion.event(event, head) } else { Ok(()) }
    })?;
    session.console.clear_progress();
    conversion.end(&flags.out, session)
}

impl<'a> Conversion<'a> {
    fn new(flags: &ConvertFlags, session: &Session<'a>) -> Result<Self, Failure> {
        let folder = flags.out.parent().filter(|folder| !folder.as_os_str().is_empty());
        Ok(Self {
            target: flags.to,
            writer: RdbWriter::new(flags.to),
            left_out: LeftOut::new(flags.on_unsupported, session.console),
            open: HashMap::new(),
            folder: folder.unwrap_or(Path::new(".")).to_owned(),
            db: DbIndex(0),
            begun: false,
            buffer: Vec::new(),
            file: Partial::create(&flags.out)?,
            counts: Counts::default(),
        })
    }

    fn event(&mut self, event: Event, head: &Head) -> Result<(), Failure> {
        if !self.begun {
            self.begun = true;
            self.begin(head);
        }
        beside_keys(&event, &mut self.left_out)?;
        match event {
            Event::Aux { key, value } if key == "lua" && self.loads_scripts() => {
                self.writer.aux(&key, &value, &mut self.buffer);
            }
            Event::SelectDb(db) => self.db = db,
            Event::ResizeDb { keys, expires } => {
                self.writer.sizes(self.db, (keys, expires), &mut self.buffer);
            }
            Event::Function(source) => self.function(&source)?,
            Event::Entry(entry) => self.entry(&entry)?,
            Event::Open { id, header, type_id } => self.open(id, header, type_id)?,
            Event::Piece { id, piece } => self.piece(id, &piece)?,
            Event::Close { id } => self.close(id)?,
            _ => {}
        }
        if self.buffer.len() >= FLUSH { self.flush() } else { Ok(()) }
    }

    /// Writes the fields that a server writes before the first key.
    fn begin(&mut self, head: &Head) {
        let (name, (major, minor)) = match self.target {
            TargetFormat { family: Family::Valkey, version } if version >= (9, 0) => ("valkey-ver", version),
            TargetFormat { version, .. } => ("redis-ver", version),
        };
        self.writer.start(&mut self.buffer);
        self.writer.aux(name.as_bytes(), format!("{major}.{minor}.0").as_bytes(), &mut self.buffer);
        self.writer.aux(b"redis-bits", b"64", &mut self.buffer);
        if let Some(at) = head.written_at {
            self.writer.aux(b"ctime", (at / 1000).to_string().as_bytes(), &mut self.buffer);
        }
    }

    /// Whether the target loads scripts from a snapshot. From Redis 7.0 on, snapshots contain no scripts.
    fn loads_scripts(&self) -> bool {
        self.target.family == Family::Redis && self.target.version < (7, 0)
    }

    fn function(&mut self, source: &[u8]) -> Result<(), Failure> {
        if self.writer.function(source, &mut self.buffer) {
            return Ok(());
        }
        self.left_out.function(source)
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), Failure> {
        let (header, value) = (&entry.header, &entry.value);
        let written = self.writer.entry(header, value, &mut self.buffer);
        let written = written.map_err(|error| damaged(&header.key, header.db, error))?;
        match written {
            Written::Unsupported => self.unsupported(header, value.kind()),
            Written::WithoutExpiries => {
                self.without_expiries(header)?;
                self.kept(header, written)
            }
            Written::Verbatim | Written::Reencoded => self.kept(header, written),
        }
    }

    fn unsupported(&mut self, header: &KeyHeader, kind: ValueKind) -> Result<(), Failure> {
        self.left_out.of_key(Loss::of(kind).unwrap_or(Loss::Module), (header.db, &header.key))
    }

    fn without_expiries(&mut self, header: &KeyHeader) -> Result<(), Failure> {
        self.left_out.of_key(Loss::MemberTtl, (header.db, &header.key))
    }

    /// Counts a key that is in the file, and its attributes that only a Dragonfly keeps.
    fn kept(&mut self, header: &KeyHeader, written: Written) -> Result<(), Failure> {
        if header.sticky {
            self.left_out.of_key(Loss::Sticky, (header.db, &header.key))?;
        }
        if header.memcache_flags.is_some() {
            self.left_out.of_key(Loss::MemcacheFlags, (header.db, &header.key))?;
        }
        let verbatim = written == Written::Verbatim;
        *(if verbatim { &mut self.counts.verbatim } else { &mut self.counts.reencoded }) += 1;
        Ok(())
    }

    fn open(&mut self, id: ValueId, header: KeyHeader, type_id: TypeId) -> Result<(), Failure> {
        let value = ValueWriter::new(type_id, &self.target);
        if value.is_none() {
            self.unsupported(&header, type_id.kind())?;
        }
        let body = SpooledTempFile::new_in(SPOOL, &self.folder);
        self.open.insert(id, Growing { header, value, body, lost_expiries: false });
        Ok(())
    }

    fn piece(&mut self, id: ValueId, piece: &Piece) -> Result<(), Failure> {
        let Some(Growing { header, value: Some(value), body, lost_expiries }) = self.open.get_mut(&id) else {
            return Ok(());
        };
        let mut part = Vec::new();
        value.piece(piece, &mut part).map_err(|error| damaged(&header.key, header.db, error))?;
        body.write_all(&part).context("cannot write a temporary file")?;
        if value.written() == Written::WithoutExpiries && !*lost_expiries {
            *lost_expiries = true;
            return self.left_out.of_key(Loss::MemberTtl, (header.db, &header.key));
        }
        Ok(())
    }

    fn close(&mut self, id: ValueId) -> Result<(), Failure> {
        let Some(Growing { header, value: Some(value), mut body, .. }) = self.open.remove(&id) else {
            return Ok(());
        };
        self.writer.open(&header, &value, &mut self.buffer);
        body.rewind().context("cannot read a temporary file")?;
        let mut part = vec![0; FLUSH];
        loop {
            let n = body.read(&mut part).context("cannot read a temporary file")?;
            if n == 0 {
                break;
            }
            self.writer.body(part.get(..n).unwrap_or_default(), &mut self.buffer);
            self.flush()?;
        }
        self.kept(&header, value.written())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.file.write(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn end(mut self, path: &Path, session: &Session<'_>) -> Result<(), Failure> {
        self.writer.finish(&mut self.buffer);
        self.flush()?;
        let bytes = self.file.finish()?;
        self.left_out.report();
        let Counts { verbatim, reencoded } = self.counts;
        let (keys, target) = (verbatim + reencoded, self.target);
        let mut out = Out::new();
        match session.format {
            Format::Text => out.line(&format!(
                "{}: {keys} keys for {target}, {}; {verbatim} values unchanged, {reencoded} in another encoding",
                path.display(),
                size(bytes)
            ))?,
            Format::Json => out.json(&json!({
                "file": path.display().to_string(), "target": target.to_string(), "keys": keys, "bytes": bytes,
                "verbatim": verbatim, "reencoded": reencoded, "left_out": self.left_out.by_name(),
            }))?,
        }
        out.finish()
    }
}
