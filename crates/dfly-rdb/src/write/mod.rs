//! Writing RDB files for a server of a given version, from values of any stream (protocol section 7; Redis `rdb.c`,
//! `rdbSaveRio`; Valkey `rdb.c`).
//!
//! [`RdbWriter`] appends to a buffer of the caller, which may be emptied between any two calls. A whole value is one call.
//! A value that arrives in pieces is collected by a [`ValueWriter`] first, because its count precedes its elements.
//!
//! ```
//! use dfly_rdb::payload::TargetFormat;
//! use dfly_rdb::write::{RdbWriter, Written};
//! use dfly_rdb::{Family, KeyHeader, RawValue, TypeId};
//!
//! let mut writer = RdbWriter::new(TargetFormat { family: Family::Redis, version: (7, 0) });
//! let mut file = Vec::new();
//! writer.start(&mut file);
//! let header = KeyHeader { key: "k".into(), ..KeyHeader::default() };
//! let value = RawValue::new(TypeId::String, "\x02hi".into());
//! assert_eq!(writer.entry(&header, &value, &mut file)?, Written::Verbatim);
//! writer.finish(&mut file);
//! assert!(file.starts_with(b"REDIS0010\xfe\x00\x00\x01k\x02hi\xff"));
//! # Ok::<(), dfly_rdb::ValueError>(())
//! ```

use dfly_wire::crc64::Running;
use dfly_wire::{DbIndex, packed};

use crate::error::ValueError;
use crate::event::KeyHeader;
use crate::magic::{Family, Magic};
use crate::opcode;
use crate::payload::TargetFormat;
use crate::string;
use crate::text::Text;
use crate::value::RawValue;

mod form;
mod value;

pub use value::ValueWriter;

/// How a value was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Written {
    /// Its bytes are in the file unchanged.
    Verbatim,
    /// All of it is in the file, in another encoding.
    Reencoded,
    /// In another encoding, without the expiries of its fields or members, which the server does not support.
    WithoutExpiries,
    /// The server does not support it. Nothing was written.
    Unsupported,
}

/// Writes one RDB file.
#[derive(Debug)]
pub struct RdbWriter {
    target: TargetFormat,
    /// The database of the next key.
    db: Option<DbIndex>,
    checksum: Running,
}

impl RdbWriter {
    /// A file for `target`: Redis 5.0 or later, or any Valkey. Call [`Self::start`] first.
    pub fn new(target: TargetFormat) -> Self {
        Self { target, db: None, checksum: Running::new() }
    }

    /// Writes the name and version of the format: those that `target` itself writes.
    pub fn start(&mut self, out: &mut Vec<u8>) {
        self.append(magic(&self.target).to_string().as_bytes(), out);
    }

    /// Writes a named property.
    pub fn aux(&mut self, key: &[u8], value: &[u8], out: &mut Vec<u8>) {
        self.item(out, |out| {
            out.push(opcode::AUX);
            string::write(&Text::Raw(key), out);
            string::write(&Text::Raw(value), out);
        });
    }

    /// Writes a function library. Returns false, and writes nothing, if the server has no functions (Redis before 7.0).
    pub fn function(&mut self, source: &[u8], out: &mut Vec<u8>) -> bool {
        let known = self.target.family == Family::Valkey || self.target.version >= (7, 0);
        if known {
            self.item(out, |out| {
                out.push(opcode::FUNCTION2);
                string::write(&Text::Raw(source), out);
            });
        }
        known
    }

    /// Writes the number of keys in `db`, and of those with an expiry, as a hint.
    pub fn sizes(&mut self, db: DbIndex, (keys, expires): (u64, u64), out: &mut Vec<u8>) {
        self.select(db, out);
        self.item(out, |out| {
            out.push(opcode::RESIZE_DB);
            packed::write_uint(keys, out);
            packed::write_uint(expires, out);
        });
    }

    /// Writes a key with its whole value.
    ///
    /// # Errors
    /// If the value has to be re-encoded and is malformed. Nothing is written.
    pub fn entry(
        &mut self,
        header: &KeyHeader,
        value: &RawValue,
        out: &mut Vec<u8>,
    ) -> Result<Written, ValueError> {
        let Some(mut writer) = ValueWriter::for_whole(value, &self.target) else {
            return Ok(Written::Unsupported);
        };
        let mut body = Vec::new();
        writer.whole(value, &mut body)?;
        let written = writer.written();
        self.open(header, &writer, out);
        self.append(&body, out);
        Ok(written)
    }

    /// Writes a key and everything before the body that `value` collected. Call [`Self::body`] next.
    pub fn open(&mut self, header: &KeyHeader, value: &ValueWriter, out: &mut Vec<u8>) {
        self.select(header.db, out);
        self.item(out, |out| {
            write_attributes(header, out);
            out.push(value.type_id().wire());
            string::write(&Text::Raw(&header.key), out);
            value.write_head(out);
        });
    }

    /// Writes the next bytes of the body that a [`ValueWriter`] collected.
    pub fn body(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.append(bytes, out);
    }

    /// Writes the end, with the checksum of the file.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.append(&[opcode::EOF], out);
        out.extend_from_slice(&self.checksum.finish().to_le_bytes());
    }

    fn select(&mut self, db: DbIndex, out: &mut Vec<u8>) {
        if self.db != Some(db) {
            self.db = Some(db);
            self.item(out, |out| {
                out.push(opcode::SELECT_DB);
                packed::write_uint(u64::from(db.0), out);
            });
        }
    }

    fn append(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.checksum.update(bytes);
        out.extend_from_slice(bytes);
    }

    fn item(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let start = out.len();
        write(out);
        self.checksum.update(out.get(start..).unwrap_or_default());
    }
}

/// The attributes of a key that every server knows. Idle time and frequency are hints that only an evicting server uses.
fn write_attributes(header: &KeyHeader, out: &mut Vec<u8>) {
    if let Some(at) = header.expire_at {
        out.push(opcode::EXPIRE_TIME_MS);
        out.extend_from_slice(&at.0.to_le_bytes());
    }
    if let Some(seconds) = header.idle_seconds {
        out.push(opcode::IDLE);
        packed::write_uint(seconds, out);
    }
    if let Some(frequency) = header.frequency {
        out.extend([opcode::FREQ, frequency]);
    }
}

/// The version that the server itself writes, which every later one of its family reads (`RDB_VERSION` in `rdb.h`).
fn magic(target: &TargetFormat) -> Magic {
    let (family, version) = match (target.family, target.version) {
        (Family::Redis, release) if release < (7, 0) => (Family::Redis, 9),
        (Family::Redis, release) if release < (7, 2) => (Family::Redis, 10),
        (Family::Redis, release) if release < (7, 4) => (Family::Redis, 11),
        (Family::Redis, release) if release < (8, 6) => (Family::Redis, 12),
        (Family::Redis, _) => (Family::Redis, 13),
        (Family::Valkey, release) if release < (9, 0) => (Family::Redis, 11),
        (Family::Valkey, _) => (Family::Valkey, 80),
    };
    Magic { family, version }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (family, version, magic) in [
            (Family::Redis, (5, 0), &b"REDIS0009"[..]),
            (Family::Redis, (6, 2), b"REDIS0009"),
            (Family::Redis, (7, 0), b"REDIS0010"),
            (Family::Redis, (7, 2), b"REDIS0011"),
            (Family::Redis, (7, 4), b"REDIS0012"),
            (Family::Redis, (8, 4), b"REDIS0012"),
            (Family::Redis, (8, 6), b"REDIS0013"),
            (Family::Valkey, (7, 2), b"REDIS0011"),
            (Family::Valkey, (8, 1), b"REDIS0011"),
            (Family::Valkey, (9, 0), b"VALKEY080"),
        ] {
            let mut out = Vec::new();
            RdbWriter::new(TargetFormat { family, version }).start(&mut out);
            assert_eq!(out, magic, "{family:?} {version:?}");
        }
    }
}
