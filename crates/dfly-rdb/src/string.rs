//! Strings on the wire (protocol section 7.4; Dragonfly `rdb_load.cc`, `FetchGenericString`).

use bytes::Bytes;
use dfly_wire::packed::{self, Length};
use dfly_wire::{Fault, FaultKind, Parsed, fixed};

use crate::error::ValueError;
use crate::pack::lzf;
use crate::text::{IntBuffer, Text};

/// The head of a stored string: its form and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    /// This many bytes follow.
    Raw(usize),
    /// The decimal text of this number; nothing follows.
    Int(i64),
    /// `stored` bytes of LZF follow, which decompress to `length` bytes.
    Lzf { stored: usize, length: usize },
}

/// A whole string in its stored form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Str<'a> {
    Raw(&'a [u8]),
    Int(i64),
    Lzf { packed: &'a [u8], length: usize },
}

const INT8: u8 = 0;
const INT16: u8 = 1;
const INT32: u8 = 2;
const LZF: u8 = 3;

/// The head of a string of at most `limit` bytes, stored or decompressed.
#[inline]
pub(crate) fn head(input: &[u8], limit: usize) -> Parsed<'_, Head> {
    match packed::length(input)? {
        (rest, Length::Plain(found)) => match usize::try_from(found) {
            Ok(size) if size <= limit => Ok((rest, Head::Raw(size))),
            _ => Fault::at(input, FaultKind::OverLimit { found, limit: limit as u64 }),
        },
        (rest, Length::Encoded(form)) => encoded(input, rest, (form, limit)),
    }
}

fn encoded<'a>(input: &'a [u8], rest: &'a [u8], (form, limit): (u8, usize)) -> Parsed<'a, Head> {
    match form {
        INT8 => fixed::i8(rest).map(|(rest, n)| (rest, Head::Int(i64::from(n)))),
        INT16 => fixed::i16_le(rest).map(|(rest, n)| (rest, Head::Int(i64::from(n)))),
        INT32 => fixed::i32_le(rest).map(|(rest, n)| (rest, Head::Int(i64::from(n)))),
        LZF => {
            let (rest, stored) = packed::size(rest, limit)?;
            let (rest, length) = packed::size(rest, limit)?;
            Ok((rest, Head::Lzf { stored, length }))
        }
        _ => Fault::at(input, FaultKind::Invalid("a string has an unknown encoding")),
    }
}

/// A whole string.
#[inline]
pub(crate) fn string(input: &[u8], limit: usize) -> Parsed<'_, Str<'_>> {
    // Nearly all strings are raw and short: their first byte is their length.
    if let Some((&size @ ..64, rest)) = input.split_first()
        && usize::from(size) <= limit
        && let Some((raw, rest)) = rest.split_at_checked(usize::from(size))
    {
        return Ok((rest, Str::Raw(raw)));
    }
    any_string(input, limit)
}

fn any_string(input: &[u8], limit: usize) -> Parsed<'_, Str<'_>> {
    let (rest, head) = head(input, limit)?;
    match head {
        Head::Raw(size) => fixed::bytes(rest, size).map(|(rest, raw)| (rest, Str::Raw(raw))),
        Head::Int(value) => Ok((rest, Str::Int(value))),
        Head::Lzf { stored, length } => {
            fixed::bytes(rest, stored).map(|(rest, packed)| (rest, Str::Lzf { packed, length }))
        }
    }
}

impl<'a> Str<'a> {
    /// The text of the string, decompressed if necessary.
    pub(crate) fn text(self) -> Result<Text<'a>, ValueError> {
        Ok(match self {
            Self::Raw(raw) => Text::Raw(raw),
            Self::Int(value) => Text::Int(value),
            Self::Lzf { packed, length } => Text::Owned(lzf::decompress(packed, length)?.into()),
        })
    }

    /// The string as an owned value: a slice of `frame` if it is stored raw.
    pub(crate) fn bytes_of(self, frame: &Bytes) -> Result<Bytes, ValueError> {
        Ok(match self {
            Self::Raw(raw) => frame.slice_ref(raw),
            Self::Int(value) => Bytes::copy_from_slice(Text::Int(value).as_bytes(&mut IntBuffer::new())),
            Self::Lzf { packed, length } => lzf::decompress(packed, length)?.into(),
        })
    }
}

/// Writes `text` as a string: numbers of 32 bits in their short form, everything else raw.
pub(crate) fn write(text: &Text<'_>, out: &mut Vec<u8>) {
    if let Text::Int(value) = text {
        if let Ok(small) = i8::try_from(*value) {
            return out.extend([0xc0 | INT8].into_iter().chain(small.to_le_bytes()));
        }
        if let Ok(medium) = i16::try_from(*value) {
            return out.extend([0xc0 | INT16].into_iter().chain(medium.to_le_bytes()));
        }
        if let Ok(large) = i32::try_from(*value) {
            return out.extend([0xc0 | INT32].into_iter().chain(large.to_le_bytes()));
        }
    }
    let mut buffer = IntBuffer::new();
    let bytes = text.as_bytes(&mut buffer);
    packed::write_uint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// The unread part of a buffer that starts at `from`.
pub(crate) fn after(input: &[u8], from: usize) -> &[u8] {
    input.get(from..).unwrap_or_default()
}
