//! When keys expire. Each is asked for its expiry, unless the side has counted that no key of the database has one.

use std::time::{Duration, Instant};

use bytes::Bytes;
use dfly_replica::Question;
use dfly_wire::{DbIndex, UnixMillis};
use redis_resp::Reply;

use super::Observer;
use crate::link::SideError;
use crate::requests::{is_unknown, refusal};

/// How long a count is used. It costs a large source a moment on every one of its threads.
const FRESH: Duration = Duration::from_millis(100);

/// When a key expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    NoKey,
    At(Option<UnixMillis>),
}

/// What a key was asked, and when it expires; why that is not told, in words.
pub(super) type WithExpiry = (Reply, Result<Expiry, String>);

/// Whether the side's own count of expiries is used.
#[derive(Debug, Default)]
pub(super) enum ExpiryCount {
    /// Every key is asked: what is read belongs to one position of the journal.
    #[default]
    Unused,
    /// It is used, and was not asked for yet.
    Unasked,
    /// It was asked for.
    Asked { db: DbIndex, at: Instant, is_zero: bool },
}

impl Observer {
    /// From now on no key is asked for its expiry while INFO counts no expiry in its database. The count is up to [`FRESH`] older
    /// than the value: that is for comparisons that read both at different moments anyway. The side is a single server.
    pub(crate) fn use_expiry_count(&mut self) {
        self.expiry_count = ExpiryCount::Unasked;
    }

    pub(super) fn expiry_request(&self) -> &'static [u8] {
        if self.lacks_pexpiretime { b"PTTL" } else { b"PEXPIRETIME" }
    }

    /// What `ask` asks for each key, and its expiry.
    pub(super) async fn with_expiry(
        &mut self,
        db: DbIndex,
        keys: &[Bytes],
        ask: impl Fn(&Bytes) -> Question,
    ) -> Result<Vec<WithExpiry>, SideError> {
        if self.has_no_expiry(db).await? {
            return self.without_expiry(db, keys, ask).await;
        }
        let questions = |expiry: &Bytes| -> Vec<Question> {
            let pair = |key: &Bytes| [ask(key), Question(vec![expiry.clone(), key.clone()])];
            keys.iter().flat_map(pair).collect()
        };
        let (replies, start) = self.ask_for_expiries(db, questions, 2).await?;
        let mut replies = replies.into_iter();
        let mut found = Vec::with_capacity(keys.len());
        while let (Some(first), Some(expiry)) = (replies.next(), replies.next()) {
            found.push((first, expiry_of(&expiry, start)));
        }
        Ok(found)
    }

    /// Adds their expiries to what these keys hold.
    pub(super) async fn add_expiries(
        &mut self,
        db: DbIndex,
        keys: &[Bytes],
        found: Vec<Reply>,
    ) -> Result<Vec<WithExpiry>, SideError> {
        if self.has_no_expiry(db).await? {
            return Ok(found.into_iter().map(|reply| (reply, Ok(Expiry::At(None)))).collect());
        }
        let questions = |expiry: &Bytes| -> Vec<Question> {
            keys.iter().map(|key| Question(vec![expiry.clone(), key.clone()])).collect()
        };
        let (replies, start) = self.ask_for_expiries(db, questions, 1).await?;
        let expiries = replies.iter().map(|reply| expiry_of(reply, start));
        Ok(found.into_iter().zip(expiries).collect())
    }

    /// Whether no key of the database has an expiry, as far as that is counted.
    async fn has_no_expiry(&mut self, db: DbIndex) -> Result<bool, SideError> {
        match self.expiry_count {
            ExpiryCount::Unused => return Ok(false),
            ExpiryCount::Asked { db: of, at, is_zero }
                if of == db && Instant::now().duration_since(at) < FRESH =>
            {
                return Ok(is_zero);
            }
            ExpiryCount::Asked { .. } | ExpiryCount::Unasked => {}
        }
        let at = Instant::now();
        let is_zero = match self.link.ask_one(db, &[b"INFO", b"keyspace"]).await? {
            Reply::Bulk(text) => counts_no_expiry(&String::from_utf8_lossy(&text), db),
            _ => false,
        };
        self.expiry_count = ExpiryCount::Asked { db, at, is_zero };
        Ok(is_zero)
    }

    /// What `ask` asks for each key of a database without expiries. An empty text may mean that there is no key: such keys are
    /// asked for their expiry, which tells it.
    async fn without_expiry(
        &mut self,
        db: DbIndex,
        keys: &[Bytes],
        ask: impl Fn(&Bytes) -> Question,
    ) -> Result<Vec<WithExpiry>, SideError> {
        let questions: Vec<Question> = keys.iter().map(ask).collect();
        let replies = self.link.ask(db, &questions).await?;
        let mut found: Vec<_> = replies.into_iter().map(|reply| (reply, Ok(Expiry::At(None)))).collect();
        let is_empty = |reply: &Reply| matches!(reply, Reply::Bulk(text) if text.is_empty());
        let mut unclear: Vec<(&Bytes, &mut WithExpiry)> =
            keys.iter().zip(&mut found).filter(|(_, (reply, _))| is_empty(reply)).collect();
        if unclear.is_empty() {
            return Ok(found);
        }
        let names: Vec<Bytes> = unclear.iter().map(|(key, _)| (*key).clone()).collect();
        let questions = |expiry: &Bytes| -> Vec<Question> {
            names.iter().map(|key| Question(vec![expiry.clone(), key.clone()])).collect()
        };
        let (replies, start) = self.ask_for_expiries(db, questions, 1).await?;
        for ((_, found), reply) in unclear.iter_mut().zip(&replies) {
            found.1 = expiry_of(reply, start);
        }
        Ok(found)
    }

    /// Asks questions in groups of this size, the last of which asks for an expiry. A side that does not know the request is asked
    /// in another way. Gives the replies, and what times count from.
    async fn ask_for_expiries(
        &mut self,
        db: DbIndex,
        questions: impl Fn(&Bytes) -> Vec<Question>,
        group: usize,
    ) -> Result<(Vec<Reply>, UnixMillis), SideError> {
        loop {
            let before = self.now();
            let questions = questions(&Bytes::from_static(self.expiry_request()));
            let replies = self.link.ask(db, &questions).await?;
            if !self.lacks_pexpiretime && replies.iter().skip(group - 1).step_by(group).any(is_unknown) {
                self.lacks_pexpiretime = true;
                continue;
            }
            let now = UnixMillis(before.0.midpoint(self.now().0));
            return Ok((replies, if self.lacks_pexpiretime { now } else { UnixMillis(0) }));
        }
    }
}

/// Whether INFO's section `keyspace` tells of this database that it has keys and no expiry.
fn counts_no_expiry(info: &str, db: DbIndex) -> bool {
    let name = format!("db{db}:");
    let counts = info.lines().find_map(|line| line.trim().strip_prefix(name.as_str()));
    counts.is_some_and(|counts| counts.split(',').any(|count| count == "expires=0"))
}

pub(super) fn expiry_of(reply: &Reply, start: UnixMillis) -> Result<Expiry, String> {
    match reply {
        Reply::Integer(-2) => Ok(Expiry::NoKey),
        Reply::Integer(at) if *at >= 0 => Ok(Expiry::At(Some(UnixMillis(start.0.saturating_add(*at))))),
        Reply::Integer(_) => Ok(Expiry::At(None)),
        other => Err(refusal(other, "its expiry")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_a_database() {
        let info = "# Keyspace\r\ndb0:keys=40,expires=0,avg_ttl=0\r\ndb1:keys=5,expires=10,avg_ttl=7\r\n";
        assert!(counts_no_expiry(info, DbIndex(0)));
        assert!(!counts_no_expiry(info, DbIndex(1)), "it has ten");
        assert!(!counts_no_expiry(info, DbIndex(2)), "it is not told");
        assert!(!counts_no_expiry("db10:keys=1,expires=0", DbIndex(1)));
    }
}
