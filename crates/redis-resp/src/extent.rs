//! Finds the end of a bulk or array reply. It does not recurse, because the peer decides how deeply a reply is nested.

use std::num::NonZeroUsize;

use dfly_wire::Step;

use crate::reply_error::{MAX_LINE, ReplyError};

/// How deeply arrays may be nested. The replies to the requests of this workspace are nested at most five deep.
const MAX_DEPTH: usize = 32;

/// The maximum length of a bulk string in bytes, or of an array in replies: the highest limit that a server can be set to.
const MAX_LENGTH: i64 = 1 << 31;

/// The size of the reply at the start of `src` in bytes, or the minimum number of bytes that are missing.
///
/// # Errors
/// [`ReplyError`] if the bytes are not the start of a valid reply.
pub(crate) fn extent(src: &[u8]) -> Result<Step<usize>, ReplyError> {
    let mut at = 0;
    // How many replies each open array still needs.
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

/// Counts one complete reply, and closes the arrays that it completes.
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

/// Reads one line and, for a bulk string, the bytes that follow it. Returns where the item ends.
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

/// Parses a length. -1 stands for null.
fn length(text: &[u8]) -> Result<i64, ReplyError> {
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    let known = number.filter(|n| (-1..=MAX_LENGTH).contains(n));
    known.ok_or_else(|| ReplyError::Length(String::from_utf8_lossy(text).chars().take(40).collect()))
}
