//! Keys that the target may let expire before a record comes that saw them alive on the source (protocol section 10,
//! pitfall 38). Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use dfly_journal::Lsn;
use dfly_translate::{KeyExpiry, key_expiry};
use dfly_wire::{DbIndex, UnixMillis};
use tracing::warn;

use super::ttl_index::{KeyDigest, TtlIndex};
use crate::keys::{RecordKeys, SourceKey};

/// What is known of the expiries of a flow's keys.
#[derive(Debug)]
pub(crate) struct EarlyExpiry {
    index: TtlIndex,
    /// How far the target's clock is ahead of this host's, in milliseconds.
    ahead: i64,
    /// How long the target may let a batch wait before its keys are looked through again.
    horizon: Duration,
    /// When each batch in flight was handed over, or looked through again, the oldest first.
    handed: VecDeque<Instant>,
}

impl EarlyExpiry {
    pub(crate) fn new(index: TtlIndex, ahead: i64, horizon: Duration) -> Self {
        Self { index, ahead, horizon, handed: VecDeque::new() }
    }

    /// A batch was handed to the target.
    pub(crate) fn submitted(&mut self, now: Instant) {
        self.handed.push_back(now);
    }

    /// The oldest batch in flight was carried out.
    pub(crate) fn settled(&mut self) {
        self.handed.pop_front();
    }

    pub(crate) fn flushed(&mut self) {
        self.index.clear();
    }

    /// All expiries that the target holds were told, but for records before `from`.
    pub(crate) fn complete(&mut self, from: Lsn) {
        self.index.complete(from);
    }

    /// Expiries that the target holds.
    pub(crate) fn learn_all(&mut self, found: &[(KeyDigest, UnixMillis)]) {
        for (key, at) in found {
            warn_if(self.index.learn(*key, *at));
        }
    }

    /// A value has come with this expiry.
    pub(crate) fn learn_value(&mut self, db: DbIndex, name: &[u8], expire_at: Option<UnixMillis>) {
        if let Some(at) = expire_at {
            warn_if(self.index.learn(KeyDigest::of(db, name), at));
        } else if !self.index.is_quiet() {
            self.index.forget(KeyDigest::of(db, name));
        }
    }

    /// What a record that is applied has made of its keys' expiries.
    pub(crate) fn learn_record(&mut self, record: &RecordKeys<'_>, now: UnixMillis) {
        let expiry = key_expiry(record.command, now);
        if expiry == KeyExpiry::Kept || (expiry == KeyExpiry::Never && self.index.is_quiet()) {
            return;
        }
        for (nth, key) in record.all().iter().enumerate() {
            let digest = KeyDigest::of(key.db, &key.name);
            match expiry {
                KeyExpiry::At(at) => warn_if(self.index.learn(digest, at)),
                KeyExpiry::Carried if nth > 0 => warn_if(self.index.carry(digest)),
                KeyExpiry::Carried | KeyExpiry::Never => self.index.forget(digest),
                KeyExpiry::Kept => {}
            }
        }
    }

    /// Before anything is applied that was received at `received` or later: which expiries are near.
    pub(crate) fn turn(&mut self, received: UnixMillis, now: UnixMillis, reached: Option<Lsn>) {
        let horizon = i64::try_from(self.horizon.as_millis()).unwrap_or(0);
        self.index.turn(received, UnixMillis(now.0.saturating_add(self.ahead + horizon)));
        if let Some(reached) = reached {
            self.index.reach(reached);
        }
    }

    /// Whether no key is at risk.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.index.is_quiet()
    }

    /// Whether the key may have an expiry. An expiry that has gone with its key may still count.
    pub(crate) fn may_expire(&self, key: &SourceKey) -> bool {
        self.index.may_expire(KeyDigest::of(key.db, &key.name))
    }

    pub(crate) fn is_at_risk(&self, key: &SourceKey) -> bool {
        self.index.is_at_risk(KeyDigest::of(key.db, &key.name))
    }

    /// The keys of a record that the target has to check: those at risk without which the record does something else. The
    /// destination of a rename or a move need not exist.
    pub(crate) fn to_check(&self, record: &RecordKeys<'_>) -> Vec<SourceKey> {
        let renames = matches!(record.command.args.name(), b"RENAME" | b"RENAMENX" | b"MOVE");
        let needed = record.all().iter().take(if renames { 1 } else { usize::MAX });
        needed.filter(|key| self.is_at_risk(key)).cloned().collect()
    }

    /// Whether this is a MOVE to a key that the source may have found alive, so that it moved nothing. It journals each MOVE.
    pub(crate) fn may_have_stayed(&self, record: &RecordKeys<'_>) -> bool {
        record.command.args.name() == b"MOVE" && record.all().get(1).is_some_and(|key| self.is_at_risk(key))
    }

    /// Whether the target has let a batch wait for so long that keys in it may have expired which no check was made for.
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        self.handed.front().is_some_and(|at| now.saturating_duration_since(*at) >= self.horizon)
    }

    /// The batches in flight were looked through.
    pub(crate) fn looked_through(&mut self, now: Instant) {
        self.handed.iter_mut().for_each(|at| *at = now);
    }

    /// What the next session needs to know; `None` if that is not known, or too much.
    pub(crate) fn store(&self, transaction: u64, since: UnixMillis) -> Option<Vec<u8>> {
        self.index.store(transaction, since)
    }
}

fn warn_if(is_full: bool) {
    if is_full {
        warn!(
            "more keys have an expiry than the memory limit has room for: the target checks every record's key, which costs it time"
        );
    }
}
