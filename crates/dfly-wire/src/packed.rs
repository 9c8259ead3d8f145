//! Packed unsigned integers: RDB lengths, and every integer of the journal (protocol section 3.2;
//! Dragonfly `serializer_commons.cc`, `ReadPackedUInt`).

use bytes::BufMut;

use crate::fixed;
use crate::step::{Fault, FaultKind, Parsed};

/// A packed integer, or the marker that takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// A number, in 1, 2, 5 or 9 bytes.
    Plain(u64),
    /// The marker of an encoded string: the low six bits of the byte (0 to 63).
    Encoded(u8),
}

/// Reads a packed integer or the marker of an encoded string.
///
/// # Errors
/// [`ParseError::Incomplete`](crate::ParseError::Incomplete), or [`FaultKind::PackedForm`].
#[inline]
pub fn length(input: &[u8]) -> Parsed<'_, Length> {
    let (rest, first) = fixed::u8(input)?;
    match first >> 6 {
        0 => Ok((rest, Length::Plain(u64::from(first)))),
        1 => {
            let (rest, low) = fixed::u8(rest)?;
            Ok((rest, Length::Plain(u64::from(first & 0x3f) << 8 | u64::from(low))))
        }
        2 => wide(input, rest, first),
        _ => Ok((rest, Length::Encoded(first & 0x3f))),
    }
}

fn wide<'a>(input: &'a [u8], rest: &'a [u8], first: u8) -> Parsed<'a, Length> {
    match first {
        0x80 => {
            let (rest, raw) = fixed::array(rest)?;
            Ok((rest, Length::Plain(u64::from(u32::from_be_bytes(raw)))))
        }
        0x81 => {
            let (rest, raw) = fixed::array(rest)?;
            Ok((rest, Length::Plain(u64::from_be_bytes(raw))))
        }
        other => Fault::at(input, FaultKind::PackedForm(other)),
    }
}

/// Reads a packed integer.
///
/// # Errors
/// [`ParseError::Incomplete`](crate::ParseError::Incomplete), [`FaultKind::PackedForm`], or [`FaultKind::UnexpectedEncoding`].
#[inline]
pub fn uint(input: &[u8]) -> Parsed<'_, u64> {
    match length(input)? {
        (rest, Length::Plain(value)) => Ok((rest, value)),
        (_, Length::Encoded(low)) => Fault::at(input, FaultKind::UnexpectedEncoding(0xc0 | low)),
    }
}

/// Reads a packed integer that counts bytes or items, at most `limit`.
///
/// # Errors
/// As [`uint`], and [`FaultKind::OverLimit`].
#[inline]
pub fn size(input: &[u8], limit: usize) -> Parsed<'_, usize> {
    let (rest, found) = uint(input)?;
    match usize::try_from(found) {
        Ok(size) if size <= limit => Ok((rest, size)),
        _ => Fault::at(input, FaultKind::OverLimit { found, limit: limit as u64 }),
    }
}

/// Writes `value` in its shortest form.
pub fn write_uint(value: u64, out: &mut impl BufMut) {
    match value {
        0..=0x3f => out.put_u8(value.to_be_bytes()[7]),
        0x40..=0x3fff => {
            let [.., high, low] = value.to_be_bytes();
            out.put_slice(&[0x40 | high, low]);
        }
        0x4000..=0xffff_ffff => {
            let [_, _, _, _, low @ ..] = value.to_be_bytes();
            out.put_u8(0x80);
            out.put_slice(&low);
        }
        _ => {
            out.put_u8(0x81);
            out.put_u64(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::step::ParseError;

    #[test]
    fn known_forms() {
        for (bytes, value) in [
            (&[0x00][..], 0),
            (&[0x3f], 63),
            (&[0x40, 0x41], 65),
            (&[0x7f, 0xff], 16383),
            (&[0x80, 0, 0, 0x40, 0], 16384),
            (&[0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], u64::MAX),
        ] {
            assert_eq!(uint(bytes).unwrap(), (&[][..], value));
            let mut out = Vec::new();
            write_uint(value, &mut out);
            assert_eq!(out, bytes);
        }
    }

    #[test]
    fn malformed_integers() {
        let kind = |r: Parsed<'_, u64>| match r {
            Err(ParseError::Invalid(fault)) => fault.kind,
            other => panic!("{other:?}"),
        };
        assert_eq!(kind(uint(&[0x82])), FaultKind::PackedForm(0x82));
        assert_eq!(kind(uint(&[0xc3])), FaultKind::UnexpectedEncoding(0xc3));
        let over = size(&[0x40, 0x41], 64).unwrap_err();
        let kind = FaultKind::OverLimit { found: 65, limit: 64 };
        assert_eq!(over, ParseError::Invalid(Fault { remaining: 2, kind }));
    }

    proptest! {
        #[test]
        fn reads_back_and_never_reads_short(value: u64) {
            let mut out = Vec::new();
            write_uint(value, &mut out);
            prop_assert_eq!(uint(&out).unwrap(), (&[][..], value));
            for cut in 0..out.len() {
                prop_assert!(matches!(uint(&out[..cut]), Err(ParseError::Incomplete(_))));
            }
        }
    }
}
