//! Fixed-width integers and runs of bytes. Snapshot fields are little endian; packed integers are big endian.

use crate::step::{Parsed, need};

/// Reads exactly `N` bytes.
///
/// # Errors
/// [`ParseError::Incomplete`](crate::ParseError::Incomplete) with the number of missing bytes.
#[inline]
pub fn array<const N: usize>(input: &[u8]) -> Parsed<'_, [u8; N]> {
    match input.split_first_chunk::<N>() {
        Some((head, rest)) => Ok((rest, *head)),
        None => need(N - input.len()),
    }
}

/// Borrows exactly `n` bytes.
///
/// # Errors
/// [`ParseError::Incomplete`](crate::ParseError::Incomplete) with the number of missing bytes.
#[inline]
pub fn bytes(input: &[u8], n: usize) -> Parsed<'_, &[u8]> {
    match input.split_at_checked(n) {
        Some((head, rest)) => Ok((rest, head)),
        None => need(n - input.len()),
    }
}

macro_rules! little_endian {
    ($($name:ident: $int:ty),*) => {$(
        #[doc = concat!("Reads a little-endian `", stringify!($int), "`.")]
        ///
        /// # Errors
        /// [`ParseError::Incomplete`](crate::ParseError::Incomplete) with the number of missing bytes.
        #[inline]
        pub fn $name(input: &[u8]) -> Parsed<'_, $int> {
            let (rest, raw) = array(input)?;
            Ok((rest, <$int>::from_le_bytes(raw)))
        }
    )*};
}

little_endian!(u8: u8, i8: i8, u16_le: u16, i16_le: i16, u32_le: u32, i32_le: i32, u64_le: u64, i64_le: i64, f32_le: f32, f64_le: f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_and_missing_bytes() {
        assert_eq!(u32_le(&[1, 2, 0, 0, 9]).unwrap(), (&[9][..], 0x201));
        assert_eq!(i16_le(&[0xff, 0xff]).unwrap().1, -1);
        assert_eq!(u64_le(&[0; 3]), need(5));
        assert_eq!(bytes(b"abc", 2).unwrap(), (&b"c"[..], &b"ab"[..]));
        assert_eq!(bytes(b"abc", 5), need(2));
    }
}
