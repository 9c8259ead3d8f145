//! DUMP payloads: written from values of a stream in a form that RESTORE of a server accepts, and parsed back (protocol
//! section 7.9).
//!
//! A payload is the type id, the value, the version of the format and a CRC-64. A value whose encoding the target knows is
//! copied unchanged; any other is re-encoded.

use std::fmt;
use std::str::FromStr;

use dfly_wire::crc64;
use thiserror::Error;

use crate::error::ValueError;
use crate::magic::Family;
use crate::type_id::TypeId;
use crate::value::RawValue;
use crate::value::stream::StreamGroup;

mod parse;
pub(crate) mod plain;
pub(crate) mod stream;

pub use parse::{parse_dump, parse_dump_unchecked};

/// The server that a payload or file is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TargetFormat {
    /// Redis or Valkey.
    pub family: Family,
    /// Its major and minor version: `(7, 0)` for Redis 7.0, `(8, 1)` for Valkey 8.1.
    pub version: (u16, u16),
}

impl FromStr for TargetFormat {
    type Err = TargetFormatError;

    /// Parses `redis-7.0` or `valkey-8.1.3`. Only major and minor version are kept.
    fn from_str(text: &str) -> Result<Self, TargetFormatError> {
        let unknown = || TargetFormatError(text.to_owned());
        let (name, release) = text.split_once('-').ok_or_else(unknown)?;
        let family = match name {
            "redis" => Family::Redis,
            "valkey" => Family::Valkey,
            _ => return Err(unknown()),
        };
        let mut numbers = release.split('.').map(str::parse::<u16>);
        let mut next = || numbers.next().and_then(Result::ok);
        let version = (next().ok_or_else(unknown)?, next().ok_or_else(unknown)?);
        let oldest = match family {
            Family::Redis => (5, 0),
            Family::Valkey => (7, 2),
        };
        let whole = numbers.all(|number| number.is_ok());
        if whole && version >= oldest { Ok(Self { family, version }) } else { Err(unknown()) }
    }
}

impl fmt::Display for TargetFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.family {
            Family::Redis => "redis",
            Family::Valkey => "valkey",
        };
        write!(f, "{name}-{}.{}", self.version.0, self.version.1)
    }
}

/// The text names no supported server.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("\"{0}\" is no server such as redis-7.0 or valkey-9.1 (Redis from 5.0, Valkey from 7.2)")]
pub struct TargetFormatError(String);

/// How a value can be transferred to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Plan {
    /// By RESTORE, with its bytes unchanged.
    Verbatim,
    /// By RESTORE, in another encoding.
    Reencode,
    /// Only by commands: no payload that the target accepts can hold it.
    Commands,
}

/// How `value` can be transferred to `target`, judged by its type alone.
///
/// Dragonfly's hashes and sets with member expiries are `Reencode` here. They can be restored only if no member has an
/// expiry, which [`write_dump`] checks.
pub fn plan(value: &RawValue, target: &TargetFormat) -> Plan {
    match accepted(value.type_id(), target) {
        Some(same) if same == value.type_id() => Plan::Verbatim,
        Some(_) => Plan::Reencode,
        None => Plan::Commands,
    }
}

/// Appends the payload of `value` for `target` to `out`. With [`Plan::Commands`] nothing is appended.
///
/// The footer has the lowest version that every server with this encoding accepts and that makes the type id unambiguous:
/// 6, but 11 for a set in a listpack and 80 for Valkey's hash with expiries.
///
/// # Errors
/// If the value has to be re-encoded and is malformed. Nothing is appended.
pub fn write_dump(value: &RawValue, target: &TargetFormat, out: &mut Vec<u8>) -> Result<Plan, ValueError> {
    let Some(type_id) = accepted(value.type_id(), target) else { return Ok(Plan::Commands) };
    let start = out.len();
    let plan = write_value(value, type_id, out);
    match plan {
        Ok(Plan::Verbatim | Plan::Reencode) => write_footer(type_id, start, out),
        Ok(Plan::Commands) | Err(_) => out.truncate(start),
    }
    plan
}

/// Appends the payload, for `target`, of a stream without entries that has these groups. Its last id is 0-0, so any entry
/// can be added to it. A pending entry keeps its place in its group, whether the entry is added or not.
pub fn write_stream_groups(groups: &[StreamGroup], target: &TargetFormat, out: &mut Vec<u8>) {
    let type_id = accepted(TypeId::Stream3, target).unwrap_or(TypeId::Stream);
    let start = out.len();
    out.push(type_id.wire());
    stream::write_empty(groups, type_id, out);
    write_footer(type_id, start, out);
}

/// Appends the version of the format, and the checksum of the payload that begins at `start`.
fn write_footer(type_id: TypeId, start: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&footer_version(type_id).to_le_bytes());
    let checksum = crc64::checksum(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&checksum.to_le_bytes());
}

fn write_value(value: &RawValue, type_id: TypeId, out: &mut Vec<u8>) -> Result<Plan, ValueError> {
    out.reserve(value.payload().len() + OVERHEAD);
    out.push(type_id.wire());
    if type_id == value.type_id() {
        out.extend_from_slice(value.payload());
        return Ok(Plan::Verbatim);
    }
    match type_id {
        TypeId::Stream | TypeId::Stream2 | TypeId::Stream3 => stream::write(value, type_id, out),
        _ => plain::write(value, out),
    }
}

/// The encoding in which `target` accepts a value of `type_id`: the same if possible. `None` if there is no such encoding.
pub(crate) fn accepted(type_id: TypeId, target: &TargetFormat) -> Option<TypeId> {
    let (listpacks, since_7_2) = (target.is_like_redis((7, 0)), target.is_like_redis((7, 2)));
    let or = |known: bool, other: TypeId| if known { type_id } else { other };
    Some(match type_id {
        TypeId::HashZipmap | TypeId::HashWithExpiry => TypeId::Hash,
        TypeId::SetWithExpiry => TypeId::Set,
        TypeId::HashListpack => or(listpacks, TypeId::Hash),
        TypeId::SortedSetListpack => or(listpacks, TypeId::SortedSet2),
        TypeId::ListQuicklist2 => or(listpacks, TypeId::List),
        TypeId::SetListpack => or(since_7_2, TypeId::Set),
        TypeId::Stream2 => or(listpacks, TypeId::Stream),
        TypeId::Stream4 if target.is_redis((8, 6)) => type_id,
        TypeId::Stream3 | TypeId::Stream4 if since_7_2 => TypeId::Stream3,
        TypeId::Stream3 | TypeId::Stream4 if listpacks => TypeId::Stream2,
        TypeId::Stream3 | TypeId::Stream4 => TypeId::Stream,
        TypeId::HashMetadata | TypeId::HashListpackEx if target.is_redis((7, 4)) => type_id,
        TypeId::HashValkey if target.family == Family::Valkey && target.version >= (9, 0) => type_id,
        known if known.is_universal() => known,
        _ => return None,
    })
}

impl TypeId {
    /// Whether every server since Redis 5.0 accepts it.
    const fn is_universal(self) -> bool {
        matches!(
            self,
            Self::String
                | Self::List
                | Self::Set
                | Self::SortedSet
                | Self::Hash
                | Self::SortedSet2
                | Self::ListZiplist
                | Self::SetIntset
                | Self::SortedSetZiplist
                | Self::HashZiplist
                | Self::ListQuicklist
                | Self::Stream
        )
    }
}

impl TargetFormat {
    /// Its encoding of hashes with field expiries, if it supports them.
    pub(crate) fn field_expiries(&self) -> Option<TypeId> {
        match self.family {
            Family::Redis => (self.version >= (7, 4)).then_some(TypeId::HashMetadata),
            Family::Valkey => (self.version >= (9, 0)).then_some(TypeId::HashValkey),
        }
    }

    fn is_redis(&self, since: (u16, u16)) -> bool {
        self.family == Family::Redis && self.version >= since
    }

    /// Every Valkey knows the encodings of Redis 7.2.
    fn is_like_redis(&self, since: (u16, u16)) -> bool {
        self.family == Family::Valkey || self.version >= since
    }
}

fn footer_version(type_id: TypeId) -> u16 {
    match type_id {
        TypeId::SetListpack => 11,
        TypeId::HashValkey => 80,
        _ => 6,
    }
}

/// Type, version and checksum, in bytes.
const OVERHEAD: usize = 11;
