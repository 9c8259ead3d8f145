//! Sets of integers: width, count, sorted values, all little endian.

/// An intset of `values`, in the narrowest of its three widths.
pub(in crate::script) fn encode(values: &[i64]) -> Vec<u8> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let fits = |test: fn(i64) -> bool| sorted.iter().all(|value| test(*value));
    let width: u32 = match () {
        () if fits(|v| i16::try_from(v).is_ok()) => 2,
        () if fits(|v| i32::try_from(v).is_ok()) => 4,
        () => 8,
    };
    let mut out = width.to_le_bytes().to_vec();
    out.extend_from_slice(&u32::try_from(sorted.len()).unwrap_or(u32::MAX).to_le_bytes());
    for value in &sorted {
        out.extend(value.to_le_bytes().into_iter().take(width as usize));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn widths() {
        assert_eq!(encode(&[300, 1]), [2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0x2c, 1]);
        assert_eq!(encode(&[-1, 65536])[..8], [4, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(encode(&[-1, 65536])[8..12], [0xff; 4]);
        assert_eq!(encode(&[1 << 40]).len(), 16);
    }
}
