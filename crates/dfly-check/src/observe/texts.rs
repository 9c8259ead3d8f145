//! The texts of strings: one request each, or MGET for many, which costs a server half.
//!
//! MGET cannot be told how much of a text is wanted. So it is used only in a database whose first strings were all small, until
//! one is not. SCAN gives keys in the order of their hashes, so the first are a sample of all: if as many as one in 200 were
//! large, that they are not among [`FIRST`] has a chance of 0.6 %. A reply that is too long all the same ends the connection
//! before it is received, and the same keys are read one by one.

use bytes::Bytes;
use dfly_replica::Question;
use dfly_wire::DbIndex;
use redis_resp::Reply;

use super::Observer;
use super::expiries::WithExpiry;
use crate::link::SideError;

/// How many small strings come before any are read together.
const FIRST: usize = 1024;

/// The longest string that counts as small, in bytes.
const SMALL: usize = 2 << 10;

/// What a reply has in addition to each text, in bytes: the length, and the ends of two lines.
const FRAME: usize = 16;

/// Whether many strings are read with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Together {
    /// Each is read alone, so that all replies are bounded, or because the side refuses MGET.
    #[default]
    Never,
    /// They are, once so many of the database were small.
    Small { db: DbIndex, count: usize },
    /// One of the database was large: each is read alone.
    Large { db: DbIndex },
}

impl Together {
    /// Learns from what was read of a database.
    pub(super) fn note(&mut self, db: DbIndex, found: &[WithExpiry]) {
        let count = match *self {
            Self::Never => return,
            Self::Large { db: of } if of == db => return,
            Self::Small { db: of, count } if of == db => count,
            Self::Large { .. } | Self::Small { .. } => 0,
        };
        let texts = found.iter().filter_map(|(reply, _)| match reply {
            Reply::Bulk(text) => Some(text.len()),
            _ => None,
        });
        *self = match texts.clone().any(|length| length > SMALL) {
            true => Self::Large { db },
            false => Self::Small { db, count: count.saturating_add(texts.count()) },
        };
    }

    fn is_used(self, db: DbIndex) -> bool {
        matches!(self, Self::Small { db: of, count } if of == db && count >= FIRST)
    }
}

impl Observer {
    /// From now on many small strings are read with one request.
    pub(crate) fn read_together(&mut self) {
        self.together = Together::Small { db: DbIndex(0), count: 0 };
    }

    /// The texts under these keys, each with its expiry. A key that holds no string has a reply of another form.
    pub(super) async fn texts_alone(
        &mut self,
        db: DbIndex,
        keys: &[Bytes],
    ) -> Result<Vec<WithExpiry>, SideError> {
        let (start, end) = (Bytes::from_static(b"0"), Bytes::from(self.limits.text.to_string()));
        let name = Bytes::from_static(b"GETRANGE");
        let ask = |key: &Bytes| Question(vec![name.clone(), key.clone(), start.clone(), end.clone()]);
        self.with_expiry(db, keys, ask).await
    }

    /// The texts under these keys, if they may be read together: a text, or nil where there is none.
    pub(super) async fn texts_together(&mut self, db: DbIndex, keys: &[Bytes]) -> Option<Vec<Reply>> {
        if !self.together.is_used(db) {
            return None;
        }
        let words = [Bytes::from_static(b"MGET")].into_iter().chain(keys.iter().cloned());
        let most = keys.len().saturating_mul(SMALL + FRAME);
        match self.link.ask_together(db, &Question(words.collect()), most).await {
            Some(Reply::Array(texts)) if texts.len() == keys.len() => Some(texts),
            Some(_) => {
                self.together = Together::Never;
                None
            }
            None => {
                self.together = Together::Large { db };
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::expiries::Expiry;
    use super::*;

    fn found(lengths: &[usize]) -> Vec<WithExpiry> {
        let reply = |length: &usize| Reply::Bulk(vec![b'x'; *length].into());
        lengths.iter().map(|length| (reply(length), Ok(Expiry::At(None)))).collect()
    }

    #[test]
    fn small_strings_are_read_together_until_one_is_large() {
        let (one, other) = (DbIndex(0), DbIndex(1));
        let mut together = Together::Small { db: one, count: 0 };
        together.note(one, &found(&[5; 1000]));
        assert!(!together.is_used(one));
        together.note(one, &[(Reply::Nil, Ok(Expiry::NoKey))]);
        together.note(one, &found(&[SMALL; 24]));
        assert!(together.is_used(one));
        assert!(!together.is_used(other), "of another database nothing is known");
        together.note(one, &found(&[1, SMALL + 1, 1]));
        together.note(one, &found(&[1; 2000]));
        assert!(!together.is_used(one), "one was large");
        together.note(other, &found(&[1; 1024]));
        assert!(together.is_used(other));
    }

    #[test]
    fn it_is_not_used_unasked() {
        let mut together = Together::default();
        together.note(DbIndex(0), &found(&[1; 2000]));
        assert_eq!(together, Together::Never);
    }
}
