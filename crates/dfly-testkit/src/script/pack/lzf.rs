//! LZF in the format that liblzf reads (protocol section 7.4).

use std::collections::HashMap;

const MAX_LITERALS: usize = 32;
const MAX_MATCH: usize = 264;
const MAX_OFFSET: usize = 8192;

/// Compresses `data`. A sequence of at least three bytes that has occurred before becomes a back reference.
pub(in crate::script) fn compress(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut seen: HashMap<&[u8], usize> = HashMap::new();
    let (mut at, mut literals) = (0, 0);
    while let Some(key) = data.get(at..at + 3) {
        let earlier = seen.insert(key, at).filter(|earlier| at - earlier <= MAX_OFFSET);
        let Some(earlier) = earlier else {
            at += 1;
            continue;
        };
        let length = match_length(data, earlier, at);
        push_literals(&mut out, data.get(literals..at).unwrap_or_default());
        push_match(&mut out, at - earlier, length);
        at += length;
        literals = at;
    }
    push_literals(&mut out, data.get(literals..).unwrap_or_default());
    out
}

/// Encodes `data` with literal runs only. The result is valid, and longer than the data.
pub(in crate::script) fn literal(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push_literals(&mut out, data);
    out
}

fn match_length(data: &[u8], earlier: usize, at: usize) -> usize {
    let (from, to) = (data.get(earlier..).unwrap_or_default(), data.get(at..).unwrap_or_default());
    from.iter().zip(to).take(MAX_MATCH).take_while(|(a, b)| a == b).count()
}

fn push_literals(out: &mut Vec<u8>, data: &[u8]) {
    for run in data.chunks(MAX_LITERALS) {
        out.extend((run.len() - 1).to_le_bytes().first());
        out.extend_from_slice(run);
    }
}

fn push_match(out: &mut Vec<u8>, distance: usize, length: usize) {
    let [offset_low, offset_high, ..] = (distance - 1).to_le_bytes();
    let extra = length - 2;
    let [short, ..] = extra.min(7).to_le_bytes();
    out.push(short << 5 | offset_high);
    if extra >= 7 {
        out.extend((extra - 7).to_le_bytes().first());
    }
    out.push(offset_low);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The decompression algorithm of protocol section 7.4, transcribed literally.
    fn decompress(mut src: &[u8]) -> Vec<u8> {
        let mut out: Vec<u8> = Vec::new();
        while let Some((control, rest)) = src.split_first() {
            src = rest;
            let control = usize::from(*control);
            if control < 32 {
                out.extend(&src[..=control]);
                src = &src[control + 1..];
                continue;
            }
            let mut n = control >> 5;
            if n == 7 {
                n += usize::from(src[0]);
                src = &src[1..];
            }
            let offset = ((control & 0x1f) << 8 | usize::from(src[0])) + 1;
            src = &src[1..];
            for _ in 0..n + 2 {
                out.push(out[out.len() - offset]);
            }
        }
        out
    }

    #[test]
    fn reads_back() {
        let far =
            [&b"abc"[..], &(0..9000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>(), b"abc"].concat();
        for data in [&b""[..], b"a", b"aaaa", &[b'x'; 1000], b"abcabcabcabd", &far] {
            assert_eq!(decompress(&compress(data)), data);
            assert_eq!(decompress(&literal(data)), data);
        }
        assert!(compress(&[b'x'; 1000]).len() < 30);
        assert!(literal(&[b'x'; 1000]).len() > 1000);
    }
}
