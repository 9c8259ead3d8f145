//! Parsing DUMP payloads (protocol section 7.9).

use bytes::{Buf, Bytes};
use dfly_wire::crc64;

use crate::error::{DumpError, ValueError};
use crate::magic::{Family, Magic};
use crate::scan::Scanner;
use crate::type_id::TypeId;
use crate::value::RawValue;
use crate::value::elements::located;

/// Parses a payload of any server. The version in the footer decides what the type id means.
///
/// # Errors
/// If the payload is truncated, its checksum is wrong, its type is unknown, or the value does not end at the footer.
pub fn parse_dump(payload: Bytes) -> Result<RawValue, DumpError> {
    let (body, footer) = split(&payload)?;
    let computed = crc64::checksum(payload.get(..body + VERSION).unwrap_or_default());
    if computed != footer.checksum {
        return Err(DumpError::Checksum { stated: footer.checksum, computed });
    }
    value(payload, body, footer.version)
}

/// As [`parse_dump`], without verifying the checksum.
///
/// # Errors
/// As [`parse_dump`], except for the checksum.
pub fn parse_dump_unchecked(payload: Bytes) -> Result<RawValue, DumpError> {
    let (body, footer) = split(&payload)?;
    value(payload, body, footer.version)
}

struct Footer {
    version: u16,
    checksum: u64,
}

const VERSION: usize = 2;
const CHECKSUM: usize = 8;

/// The offset of the footer, and its fields. At least the type id precedes it.
fn split(payload: &[u8]) -> Result<(usize, Footer), DumpError> {
    let too_short = DumpError::TooShort(payload.len());
    let Some((before, checksum)) = payload.split_last_chunk::<CHECKSUM>() else { return Err(too_short) };
    match before.split_last_chunk::<VERSION>() {
        Some((body @ [_, ..], version)) => {
            let (version, checksum) = (u16::from_le_bytes(*version), u64::from_le_bytes(*checksum));
            Ok((body.len(), Footer { version, checksum }))
        }
        _ => Err(too_short),
    }
}

fn value(mut payload: Bytes, body: usize, version: u16) -> Result<RawValue, DumpError> {
    let family = if version >= VALKEY_SINCE { Family::Valkey } else { Family::Redis };
    let first = payload.first().copied().unwrap_or_default();
    let type_id = TypeId::resolve(first, Magic { family, version });
    let type_id = type_id.ok_or(DumpError::UnknownType { type_id: first, version })?;
    payload.truncate(body);
    payload.advance(1);
    let value = RawValue::new(type_id, payload);
    check_end(&value)?;
    Ok(value)
}

/// The first version number of Valkey's own format.
const VALKEY_SINCE: u16 = 80;

/// Checks that the value ends where its bytes end.
fn check_end(value: &RawValue) -> Result<(), ValueError> {
    let payload: &[u8] = value.payload();
    let mut scanner = Scanner::in_memory(value.type_id());
    let mut rest = payload;
    while !scanner.is_done() {
        (rest, _) = scanner.next(rest).map_err(|error| located(error, payload.len()))?;
    }
    match rest {
        [] => Ok(()),
        _ => Err(ValueError::Trailing { at: payload.len() - rest.len() }),
    }
}
