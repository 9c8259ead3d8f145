//! Decodes replies, one at a time, from a borrowed buffer.
//!
//! Lines and bulk strings are decoded here: a pipeline receives hardly anything else. `redis-protocol` decodes nested replies.

use std::num::NonZeroUsize;

use bytes::{Buf, Bytes, BytesMut};
use dfly_wire::Step;
use redis_protocol::resp2::{decode::decode_bytes_mut, types::BytesFrame};

use crate::extent::extent;
use crate::reply_error::{MAX_LINE, ReplyError};
use crate::server_error::ServerError;

/// One RESP2 reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `+text`.
    Simple(String),
    /// `-CODE text`.
    Error(ServerError),
    /// `:n`.
    Integer(i64),
    /// `$n` and bytes.
    Bulk(Bytes),
    /// A null bulk string or a null array.
    Nil,
    /// `*n` and replies.
    Array(Vec<Reply>),
}

impl Reply {
    /// Takes the next reply from `src`. If it needs more bytes, it says so and consumes nothing.
    ///
    /// # Errors
    /// [`ReplyError`] if the bytes are not the start of a valid reply. The connection cannot be used after that.
    pub fn decode(src: &mut BytesMut) -> Result<Step<Self>, ReplyError> {
        match src.first() {
            None => Ok(Step::Need(NonZeroUsize::MIN)),
            Some(b'+' | b'-' | b':') => line(src),
            Some(b'$') => bulk(src),
            Some(b'*') => nested(src),
            Some(other) => Err(ReplyError::Type(*other)),
        }
    }
}

/// What a pipeline of writes needs to know about a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Any other reply. Its content is not examined.
    Done,
    /// A null array. As a reply to EXEC, it means that a watched key was modified and that no command was carried out.
    NullArray,
    /// The server refused the command.
    Refused(ServerError),
    /// The reply to EXEC contains errors. The other commands were carried out.
    RefusedInside {
        /// How many commands the transaction has.
        count: usize,
        /// The index of each refused command, from 0, and its error. Never empty.
        errors: Vec<(usize, ServerError)>,
    },
}

/// What follows the bytes of a bulk string.
const END: &[u8] = b"\r\n";

/// A null array on the wire.
const NULL_ARRAY: &[u8] = b"*-1\r\n";

impl Outcome {
    /// Like [`Reply::decode`], but it skips a status, an integer and an array of those without storing them.
    ///
    /// # Errors
    /// As [`Reply::decode`].
    pub fn decode(src: &mut BytesMut) -> Result<Step<Self>, ReplyError> {
        if let Some(b'+' | b':') = src.first()
            && let Some(end) = memchr::memchr(b'\n', src)
        {
            src.advance(end + 1);
            return Ok(Step::Ready(Self::Done));
        }
        if src.starts_with(NULL_ARRAY) {
            src.advance(NULL_ARRAY.len());
            return Ok(Step::Ready(Self::NullArray));
        }
        if let Some(size) = plain_array(src) {
            src.advance(size);
            return Ok(Step::Ready(Self::Done));
        }
        Ok(Reply::decode(src)?.map(|reply| match reply {
            Reply::Error(error) => Self::Refused(error),
            Reply::Array(replies) => Self::of_transaction(replies),
            _ => Self::Done,
        }))
    }

    fn of_transaction(replies: Vec<Reply>) -> Self {
        let count = replies.len();
        let errors: Vec<(usize, ServerError)> = replies
            .into_iter()
            .enumerate()
            .filter_map(|(index, reply)| match reply {
                Reply::Error(error) => Some((index, error)),
                _ => None,
            })
            .collect();
        if errors.is_empty() { Self::Done } else { Self::RefusedInside { count, errors } }
    }
}

/// The size of the array at the start of `src` in bytes, if it has arrived and holds nothing but statuses and integers.
fn plain_array(src: &[u8]) -> Option<usize> {
    let line_end = |at: usize, kinds: &[u8]| {
        let rest = src.get(at..).filter(|rest| rest.first().is_some_and(|kind| kinds.contains(kind)))?;
        let end = at + memchr::memchr(b'\n', rest)?;
        src.get(..=end)?.ends_with(END).then_some(end + 1)
    };
    let header = line_end(0, b"*")?;
    let count: usize = std::str::from_utf8(src.get(1..header - END.len())?).ok()?.parse().ok()?;
    (0..count).try_fold(header, |at, _nth| line_end(at, b"+:"))
}

fn line(src: &mut BytesMut) -> Result<Step<Reply>, ReplyError> {
    let Some(end) = memchr::memchr(b'\n', src) else {
        return if src.len() > MAX_LINE {
            Err(ReplyError::LineTooLong)
        } else {
            Ok(Step::Need(NonZeroUsize::MIN))
        };
    };
    let text = src.get(1..end).unwrap_or_default();
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let reply = match src.first() {
        Some(b':') => Reply::Integer(integer(text)?),
        Some(b'-') => Reply::Error(ServerError::parse(text)),
        _ => Reply::Simple(String::from_utf8_lossy(text).into_owned()),
    };
    src.advance(end + 1);
    Ok(Step::Ready(reply))
}

fn integer(text: &[u8]) -> Result<i64, ReplyError> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| ReplyError::Integer(String::from_utf8_lossy(text).into_owned()))
}

fn bulk(src: &mut BytesMut) -> Result<Step<Reply>, ReplyError> {
    let size = match extent(src)? {
        Step::Ready(size) => size,
        Step::Need(missing) => return Ok(Step::Need(missing)),
    };
    let header = memchr::memchr(b'\n', src).map_or(size, |end| end + 1);
    let Some(length) = (size - header).checked_sub(END.len()) else {
        src.advance(size);
        return Ok(Step::Ready(Reply::Nil));
    };
    src.advance(header);
    let bytes = src.split_to(length).freeze();
    if !src.starts_with(END) {
        return Err(ReplyError::Nested("a bulk string does not end with CRLF".to_owned()));
    }
    src.advance(END.len());
    Ok(Step::Ready(Reply::Bulk(bytes)))
}

fn nested(src: &mut BytesMut) -> Result<Step<Reply>, ReplyError> {
    if let Step::Need(missing) = extent(src)? {
        return Ok(Step::Need(missing));
    }
    match decode_bytes_mut(src) {
        Ok(Some((frame, _, _))) => Ok(Step::Ready(from_frame(frame))),
        Ok(None) => Ok(Step::Need(NonZeroUsize::MIN)),
        Err(error) => Err(ReplyError::Nested(error.details().to_owned())),
    }
}

fn from_frame(frame: BytesFrame) -> Reply {
    match frame {
        BytesFrame::SimpleString(text) => Reply::Simple(String::from_utf8_lossy(&text).into_owned()),
        BytesFrame::Error(text) => Reply::Error(ServerError::parse(text.as_bytes())),
        BytesFrame::Integer(value) => Reply::Integer(value),
        BytesFrame::BulkString(bytes) => Reply::Bulk(bytes),
        BytesFrame::Array(frames) => Reply::Array(frames.into_iter().map(from_frame).collect()),
        BytesFrame::Null => Reply::Nil,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &[u8] = b"+OK\r\n:-42\r\n$-1\r\n*-1\r\n$5\r\nhe\r\no\r\n*2\r\n$1\r\na\r\n*1\r\n:7\r\n-MOVED 1 a:2\r\n$0\r\n\r\n*0\r\n";

    fn all(mut src: BytesMut) -> Vec<Reply> {
        let mut out = Vec::new();
        while let Step::Ready(reply) = Reply::decode(&mut src).unwrap() {
            out.push(reply);
        }
        assert!(src.is_empty());
        out
    }

    #[test]
    fn every_split_gives_the_same_replies() {
        let whole = all(BytesMut::from(SESSION));
        assert_eq!(whole.len(), 9);
        assert_eq!(whole[4], Reply::Bulk(Bytes::from_static(b"he\r\no")));
        for cut in 0..SESSION.len() {
            let mut src = BytesMut::from(&SESSION[..cut]);
            let mut replies = Vec::new();
            while let Step::Ready(reply) = Reply::decode(&mut src).unwrap() {
                replies.push(reply);
            }
            src.extend_from_slice(&SESSION[cut..]);
            replies.extend(all(src));
            assert_eq!(replies, whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_bulk_string_ends_where_its_length_says() {
        for wire in ["$3\r\nabcd\r\n", "$3\r\nab\r\n\r\n"] {
            let decoded = Reply::decode(&mut BytesMut::from(wire));
            assert!(matches!(decoded, Err(ReplyError::Nested(_))), "{wire:?}: {decoded:?}");
        }
        assert_eq!(all(BytesMut::from("$-1\r\n")), [Reply::Nil]);
        assert_eq!(all(BytesMut::from("$0\r\n\r\n")), [Reply::Bulk(Bytes::new())]);
    }

    #[test]
    fn outcomes_pair_with_replies() {
        let mut src = BytesMut::from(SESSION);
        let outcomes: Vec<bool> = std::iter::from_fn(|| match Outcome::decode(&mut src).unwrap() {
            Step::Ready(outcome) => Some(outcome == Outcome::Done),
            Step::Need(_) => None,
        })
        .collect();
        assert_eq!(outcomes, [true, true, true, false, true, true, false, true, true]);
    }

    #[test]
    fn a_bulk_reply_says_how_much_is_missing() {
        let step = Reply::decode(&mut BytesMut::from("*2\r\n:1\r\n$1000\r\nab")).unwrap();
        assert_eq!(step, Step::Need(NonZeroUsize::new(1000).unwrap()));
    }

    #[test]
    fn an_error_inside_a_transaction_is_found() {
        let mut src = BytesMut::from("*3\r\n:1\r\n-ERR no such key\r\n+OK\r\n*1\r\n$-1\r\n");
        let first = Outcome::decode(&mut src).unwrap();
        let Step::Ready(Outcome::RefusedInside { count: 3, errors }) = first else { panic!("{first:?}") };
        assert_eq!(errors.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1]);
        assert_eq!(Outcome::decode(&mut src).unwrap(), Step::Ready(Outcome::Done));
    }

    /// An array is judged by all of its replies, however it arrives.
    #[test]
    fn the_reply_to_a_transaction_is_the_same_for_every_split() {
        let nothing_refused =
            ["*0\r\n", "*3\r\n+OK\r\n:1\r\n:-2\r\n", "*2\r\n:1\r\n$1\r\na\r\n", "*2\r\n*1\r\n:1\r\n:2\r\n"];
        for wire in nothing_refused.iter().chain(&["*2\r\n:1\r\n-ERR no\r\n"]) {
            for cut in 0..wire.len() {
                let mut src = BytesMut::from(&wire[..cut]);
                assert!(matches!(Outcome::decode(&mut src).unwrap(), Step::Need(_)), "{wire:?} until {cut}");
                assert_eq!(src.len(), cut, "nothing is taken");
                src.extend_from_slice(&wire.as_bytes()[cut..]);
                src.extend_from_slice(b":7\r\n");
                let Step::Ready(outcome) = Outcome::decode(&mut src).unwrap() else { panic!("{wire:?}") };
                assert_eq!(outcome == Outcome::Done, nothing_refused.contains(wire), "{wire:?}: {outcome:?}");
                assert_eq!(&src[..], b":7\r\n", "the next reply is left");
            }
        }
    }

    #[test]
    fn what_is_no_reply() {
        for wire in ["*1\n:1\r\n", "*1\r\n:1\n", "*x\r\n:1\r\n", "*-2\r\n:1\r\n"] {
            let outcome = Outcome::decode(&mut BytesMut::from(wire));
            assert!(!matches!(outcome, Ok(Step::Ready(_))), "{wire:?}: {outcome:?}");
        }
        assert_eq!(Reply::decode(&mut BytesMut::from("HTTP/1.1")), Err(ReplyError::Type(b'H')));
        assert!(matches!(Reply::decode(&mut BytesMut::from(":x\r\n")), Err(ReplyError::Integer(_))));
        assert!(matches!(Reply::decode(&mut BytesMut::from("$x\r\n")), Err(ReplyError::Length(_))));
        assert!(matches!(Reply::decode(&mut BytesMut::from("$99999999999\r\n")), Err(ReplyError::Length(_))));
        let deep = "*1\r\n".repeat(100_000);
        assert_eq!(Reply::decode(&mut BytesMut::from(deep.as_str())), Err(ReplyError::TooDeep));
        let mut endless = BytesMut::from(&[&b"+"[..], &[b'a'; MAX_LINE + 1]].concat()[..]);
        assert_eq!(Reply::decode(&mut endless), Err(ReplyError::LineTooLong));
    }
}
