//! Where a bulk or array reply ends, found without recursion: a peer decides how deep it nests.

use std::num::NonZeroUsize;

use dfly_wire::Step;

use crate::reply_error::{MAX_LINE, ReplyError};

/// How deep arrays may nest. Replies of servers to this workspace's requests nest five deep at the most.
const MAX_DEPTH: usize = 32;

/// The largest bulk string or array, in bytes or replies: what a server's own limit can be set to.
const MAX_LENGTH: i64 = 1 << 31;

/// The size of the reply at the start of `src`, or how many bytes are missing at least.
///
/// # Errors
/// [`ReplyError`] when no continuation can make the bytes a reply.
pub(crate) fn extent(src: &[u8]) -> Result<Step<usize>, ReplyError> {
    let mut at = 0;
    // How many replies each open array still wants.
    let mut open: Vec<i64> = Vec::new();
    loop {
        let (end, item) = match item(src, at)? {
            Step::Ready(found) => found,
            Step::Need(n) => return Ok(Step::Need(n)),
        };
        at = end;
        match item {
            Item::Whole => close(&mut open),
            Item::Array(_) if open.len() == MAX_DEPTH => return Err(ReplyError::TooDeep),
            Item::Array(count) => open.push(count),
        }
        if open.is_empty() {
            return Ok(Step::Ready(at));
        }
    }
}

/// A reply is complete: so may be the arrays that it ends.
fn close(open: &mut Vec<i64>) {
    while let Some(left) = open.last_mut() {
        *left -= 1;
        if *left > 0 {
            return;
        }
        open.pop();
    }
}

enum Item {
    Whole,
    /// An array that is not empty.
    Array(i64),
}

/// One line, with the bytes of a bulk string behind it; gives where it ends.
fn item(src: &[u8], at: usize) -> Result<Step<(usize, Item)>, ReplyError> {
    let rest = src.get(at..).unwrap_or_default();
    let Some(line) = memchr::memchr(b'\n', rest) else {
        return if rest.len() > MAX_LINE {
            Err(ReplyError::LineTooLong)
        } else {
            Ok(Step::Need(NonZeroUsize::MIN))
        };
    };
    let text = rest.get(1..line).unwrap_or_default();
    let end = at + line + 1;
    match rest.first() {
        Some(b'+' | b'-' | b':') => Ok(Step::Ready((end, Item::Whole))),
        Some(b'*') => Ok(Step::Ready(match length(text)? {
            ..=0 => (end, Item::Whole),
            count => (end, Item::Array(count)),
        })),
        Some(b'$') => {
            let bytes = usize::try_from(length(text)?).map_or(0, |bytes| bytes + 2);
            match (end + bytes).checked_sub(src.len()).and_then(NonZeroUsize::new) {
                Some(missing) => Ok(Step::Need(missing)),
                None => Ok(Step::Ready((end + bytes, Item::Whole))),
            }
        }
        other => Err(ReplyError::Type(other.copied().unwrap_or_default())),
    }
}

/// A length: -1 is a null.
fn length(text: &[u8]) -> Result<i64, ReplyError> {
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    let known = number.filter(|n| (-1..=MAX_LENGTH).contains(n));
    known.ok_or_else(|| ReplyError::Length(String::from_utf8_lossy(text).chars().take(40).collect()))
}
