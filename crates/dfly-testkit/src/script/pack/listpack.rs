//! Listpacks: strings and integers in one run of bytes, each followed by its own length for backward traversal.

use super::canonical_int;

/// A listpack that is being written.
#[derive(Debug, Default)]
pub(in crate::script) struct Listpack {
    body: Vec<u8>,
    count: usize,
}

impl Listpack {
    /// Appends a string. It is stored as an integer if it is the canonical decimal form of one.
    pub(in crate::script) fn push(&mut self, text: &[u8]) {
        match canonical_int(text) {
            Some(value) => self.push_int(value),
            None => self.push_text(text),
        }
    }

    /// Appends an integer in its shortest form.
    pub(in crate::script) fn push_int(&mut self, value: i64) {
        let [b0, b1, b2, b3, ..] = value.to_le_bytes();
        let [.., high, low] = value.to_be_bytes();
        let element = match value {
            0..=127 => vec![b0],
            -4096..=4095 => vec![0xc0 | (high & 0x1f), low],
            -32_768..=32_767 => vec![0xf1, b0, b1],
            -8_388_608..=8_388_607 => vec![0xf2, b0, b1, b2],
            -2_147_483_648..=2_147_483_647 => vec![0xf3, b0, b1, b2, b3],
            _ => [&[0xf4][..], &value.to_le_bytes()].concat(),
        };
        self.finish(&element);
    }

    fn push_text(&mut self, text: &[u8]) {
        let [b0, b1, b2, b3, ..] = (text.len() as u64).to_le_bytes();
        let mut element = match text.len() {
            0..=63 => vec![0x80 | b0],
            64..=4095 => vec![0xe0 | b1, b0],
            _ => vec![0xf0, b0, b1, b2, b3],
        };
        element.extend_from_slice(text);
        self.finish(&element);
    }

    fn finish(&mut self, element: &[u8]) {
        self.body.extend_from_slice(element);
        self.body.extend(back_length(element.len() as u64));
        self.count += 1;
    }

    /// The whole listpack. With 65,535 elements or more, its header does not state their number.
    pub(in crate::script) fn encode(self) -> Vec<u8> {
        let total = u32::try_from(self.body.len() + 7).unwrap_or(u32::MAX);
        let count = u16::try_from(self.count).unwrap_or(u16::MAX);
        [&total.to_le_bytes()[..], &count.to_le_bytes(), &self.body, &[0xff]].concat()
    }
}

/// Encodes a length with seven bits in each byte, highest first. Every byte but the first has its top bit set, so that the
/// length can be read backwards.
fn back_length(size: u64) -> Vec<u8> {
    let bytes = match size {
        0..=127 => 1,
        128..=16_382 => 2,
        16_383..=2_097_150 => 3,
        2_097_151..=268_435_454 => 4,
        _ => 5,
    };
    let seven = |shift: u32| (size >> (7 * shift)).to_le_bytes()[0] & 0x7f;
    (0..bytes).rev().map(|i| if i + 1 == bytes { seven(i) } else { 0x80 | seven(i) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(text: &[u8]) -> Vec<u8> {
        let mut pack = Listpack::default();
        pack.push(text);
        let whole = pack.encode();
        assert_eq!(whole[..4], u32::try_from(whole.len()).unwrap().to_le_bytes());
        whole[6..whole.len() - 1].to_vec()
    }

    /// The forms of protocol section 7.7, each with its back length.
    #[test]
    fn forms() {
        assert_eq!(element(b"127"), [0x7f, 1]);
        assert_eq!(element(b"128"), [0xc0, 0x80, 2]);
        assert_eq!(element(b"-1"), [0xdf, 0xff, 2]);
        assert_eq!(element(b"4096"), [0xf1, 0, 0x10, 3]);
        assert_eq!(element(b"-8388608"), [0xf2, 0, 0, 0x80, 4]);
        assert_eq!(element(b"2147483647"), [0xf3, 0xff, 0xff, 0xff, 0x7f, 5]);
        assert_eq!(element(b"-9223372036854775808"), [0xf4, 0, 0, 0, 0, 0, 0, 0, 0x80, 9]);
        assert_eq!(element(b"007"), [0x83, b'0', b'0', b'7', 4]);
        assert_eq!(element(&[b'x'; 64])[..2], [0xe0, 64]);
        assert_eq!(element(&[b'x'; 4096])[..5], [0xf0, 0, 0x10, 0, 0]);
    }

    /// The values of `lpEncodeBacklen` in Redis (`listpack.c`).
    #[test]
    fn back_lengths() {
        assert_eq!(back_length(127), [127]);
        assert_eq!(back_length(128), [1, 0x80]);
        assert_eq!(back_length(16_382), [0x7f, 0xfe]);
        assert_eq!(back_length(16_383), [0, 0xff, 0xff]);
        assert_eq!(back_length(2_097_151).len(), 4);
        assert_eq!(back_length(268_435_455).len(), 5);
    }
}
