//! LZF as liblzf writes it (protocol section 7.4).

use crate::error::ValueError;

/// Three bytes of input make at most 264 bytes of output.
const GROWTH: usize = 88;

/// Decompresses `packed`, which must make exactly `length` bytes.
pub(crate) fn decompress(packed: &[u8], length: usize) -> Result<Vec<u8>, ValueError> {
    if length > packed.len().saturating_mul(GROWTH) {
        return Err(ValueError::Lzf { problem: "the stated length cannot come from so few bytes" });
    }
    let mut out = Vec::with_capacity(length);
    let mut input = packed;
    while let Some((&control, rest)) = input.split_first() {
        input =
            if control < 32 { literal(rest, control, &mut out)? } else { repeat(rest, control, &mut out)? };
        if out.len() > length {
            return Err(ValueError::Lzf { problem: "more bytes than stated" });
        }
    }
    if out.len() == length { Ok(out) } else { Err(ValueError::Lzf { problem: "fewer bytes than stated" }) }
}

fn literal<'a>(rest: &'a [u8], control: u8, out: &mut Vec<u8>) -> Result<&'a [u8], ValueError> {
    let (run, rest) = rest.split_at_checked(usize::from(control) + 1).ok_or(TRUNCATED)?;
    out.extend_from_slice(run);
    Ok(rest)
}

fn repeat<'a>(rest: &'a [u8], control: u8, out: &mut Vec<u8>) -> Result<&'a [u8], ValueError> {
    let (length, rest) = match usize::from(control >> 5) {
        7 => rest.split_first().map(|(&more, rest)| (7 + usize::from(more), rest)).ok_or(TRUNCATED)?,
        length => (length, rest),
    };
    let (&low, rest) = rest.split_first().ok_or(TRUNCATED)?;
    let distance = (usize::from(control & 0x1f) << 8 | usize::from(low)) + 1;
    let from =
        out.len().checked_sub(distance).ok_or(ValueError::Lzf { problem: "a reference before the start" })?;
    copy_within(out, from, length + 2);
    Ok(rest)
}

/// Appends `length` bytes from `from` on; the run may overlap what it appends.
fn copy_within(out: &mut Vec<u8>, from: usize, length: usize) {
    let mut left = length;
    while left > 0 {
        let run = left.min(out.len() - from);
        out.extend_from_within(from..from + run);
        left -= run;
    }
}

const TRUNCATED: ValueError = ValueError::Lzf { problem: "it ends in the middle of a run" };
