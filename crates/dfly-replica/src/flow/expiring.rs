//! Records of keys that the target may have let expire too early: each is checked on the target, in its transaction, and a
//! key that is missing there is read again (protocol section 10, pitfall 38).

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use dfly_journal::{Command, Lsn};
use dfly_translate::{CommandFacts, CommandKind, KeyExpiry, Reason, key_expiry};
use dfly_wire::{DbIndex, UnixMillis};
use redis_sink::Refusal;
use tracing::{info, warn};

use super::{Flow, Wanted, wanted};
use crate::expiries::{Expiries, KeyDigest};
use crate::reread::Place;

/// What the check answers for a key that is missing.
const MISSING: &str = "MISSING";

/// KEYS: the key, and the set of the flow's wanted keys in database 0; ARGV: the key's name in that set. A missing key
/// is wanted from here on, whatever becomes of this tool.
const CHECK: &str = "if redis.call('EXISTS',KEYS[1])==1 then return 1 end \
    redis.call('SELECT',0) redis.call('SADD',KEYS[2],ARGV[1]) return redis.error_reply('MISSING it has expired')";

/// The same for a cluster, where the set lies in the slot of the key.
const CHECK_IN_SLOT: &str = "if redis.call('EXISTS',KEYS[1])==1 then return 1 end \
    redis.call('SADD',KEYS[2],ARGV[1]) return redis.error_reply('MISSING it has expired')";

/// The expiries of a flow's keys, as far as they matter for the order of things.
#[derive(Debug)]
pub(crate) struct Expiring {
    expiries: Expiries,
    /// How far the target's clock is ahead of ours, in milliseconds.
    ahead: i64,
    /// When the batches in flight were handed over, or looked at again, the oldest first.
    handed: VecDeque<Instant>,
}

impl Expiring {
    pub(crate) fn new(expiries: Expiries, ahead: i64) -> Self {
        Self { expiries, ahead, handed: VecDeque::new() }
    }

    pub(super) fn submitted(&mut self) {
        self.handed.push_back(Instant::now());
    }

    pub(super) fn settled(&mut self) {
        self.handed.pop_front();
    }

    pub(super) fn flushed(&mut self) {
        self.expiries.clear();
    }

    pub(super) fn complete(&mut self, from: Lsn) {
        self.expiries.complete(from);
    }

    /// Expiries that the target holds.
    pub(super) fn learn_all(&mut self, found: &[(KeyDigest, UnixMillis)]) {
        for (mark, at) in found {
            warn_if(self.expiries.learn(*mark, *at));
        }
    }

    /// A value has come with this expiry.
    pub(super) fn learn_value(&mut self, (db, key): (DbIndex, &[u8]), expire_at: Option<UnixMillis>) {
        if let Some(at) = expire_at {
            warn_if(self.expiries.learn(KeyDigest::of(db, key), at));
        } else if !self.expiries.is_quiet() {
            self.expiries.forget(KeyDigest::of(db, key));
        }
    }
}

fn warn_if(full: bool) {
    if full {
        warn!(
            "more keys with an expiry than are kept in mind: every record of a key is checked on the target, which costs it time; --memory-limit makes room"
        );
    }
}

/// The key that a check has found missing, as a member of the set of wanted keys.
pub(super) fn checked(refusal: &Refusal) -> Option<&[u8]> {
    let is_check = refusal.error.to_string().starts_with(MISSING);
    is_check.then(|| refusal.command().arguments().last()).flatten()
}

impl Flow {
    /// The session ends: with its last transaction, the next one is told what the target holds.
    pub(super) fn store_expiries(&mut self) {
        let since = self.spill.time_of_next().unwrap_or_else(|| self.config.clock.now());
        let next = self.sent.transaction + 1;
        if !self.entered || self.progress.is_none() || self.at_flush.is_waiting() {
            return;
        }
        if let Some(value) = self.expiring.expiries.store(next, since) {
            self.open_transaction();
            self.translator.select(DbIndex(0), &mut self.batch);
            let key = self.config.rules.names.expiries(self.id.0);
            let tag = CommandFacts::side_key(DbIndex(0)).idempotent().tag();
            self.batch.push_keyed(&[b"SET", key.as_bytes(), &value], 1..2, tag);
            self.hand_over();
        }
    }

    /// Before anything is decoded: which expiries are near.
    pub(super) fn turn_expiries(&mut self) {
        let now = self.config.clock.now();
        let received = self.spill.time_of_next().unwrap_or(now);
        let horizon = i64::try_from(self.config.expiry_horizon.as_millis()).unwrap_or(0);
        let latest = UnixMillis(now.0.saturating_add(self.expiring.ahead + horizon));
        self.expiring.expiries.turn(received, latest);
        if let Some(progress) = &self.progress {
            self.expiring.expiries.reach(progress.received());
        }
    }

    /// A record of a key that may be missing on the target: it is checked there; within a snapshot, where there are no
    /// transactions, its keys are read again instead, and true is given back.
    pub(super) fn check_expiring(&mut self, command: &Command, is_counted: bool) -> bool {
        if self.expiring.expiries.is_quiet() || super::stale::replaces(command) {
            return false;
        }
        let places = wanted::places(command);
        let is_at_risk = |(db, key): &&Place| self.expiring.expiries.is_at_risk(KeyDigest::of(*db, key));
        let at_risk: Vec<Place> = places.iter().filter(is_at_risk).cloned().collect();
        if is_counted {
            // The destination of a rename need not be there.
            let renames = matches!(command.args.name(), b"RENAME" | b"RENAMENX");
            let needed = at_risk.iter().filter(|place| !renames || places.first() == Some(*place));
            needed.for_each(|place| self.check(place));
            return false;
        }
        let held = !at_risk.is_empty();
        if held {
            self.counters.reread(Reason::Expired);
            places.into_iter().for_each(|place| self.want(place));
        }
        held
    }

    fn check(&mut self, place: &Place) {
        let (db, key) = place;
        let Some((target_db, name)) = self.config.rules.selection.destination(*db, key) else { return };
        if self.translator.leaves_out(target_db, &name) {
            return;
        }
        let check = if self.is_in_cluster() { CHECK_IN_SLOT } else { CHECK };
        let (set, member) = (self.wanted_set(&name), Wanted::member(place));
        self.translator.select(target_db, &mut self.batch);
        // At most it has a key read once more.
        let facts = CommandFacts::new(CommandKind::ExpiryCheck, target_db).idempotent();
        let words = [&b"EVAL"[..], check.as_bytes(), b"2", &name, set.as_bytes(), &member];
        self.batch.push_keyed(&words, 3..5, facts.tag());
    }

    /// What a record has made of its keys' expiries.
    pub(super) fn learn_expiry(&mut self, command: &Command, now: UnixMillis) {
        let expiry = key_expiry(command, now);
        if expiry == KeyExpiry::Kept || (expiry == KeyExpiry::Never && self.expiring.expiries.is_quiet()) {
            return;
        }
        let expiries = &mut self.expiring.expiries;
        for (nth, (db, key)) in wanted::places(command).into_iter().enumerate() {
            let mark = KeyDigest::of(db, &key);
            match expiry {
                KeyExpiry::At(at) => warn_if(expiries.learn(mark, at)),
                KeyExpiry::Carried if nth > 0 => warn_if(expiries.carry(mark)),
                KeyExpiry::Carried | KeyExpiry::Never => expiries.forget(mark),
                KeyExpiry::Kept => {}
            }
            if let (b"MOVE", Some(to)) = (command.args.name(), moved_to(command)) {
                warn_if(expiries.carry(KeyDigest::of(to, &key)));
            }
        }
    }

    /// The target has let something wait for so long that keys may have expired which no check was made for.
    pub(super) fn look_again_at_overdue(&mut self) {
        let now = Instant::now();
        let overdue = |at: &Instant| now - *at >= self.config.expiry_horizon;
        if !self.expiring.handed.front().is_some_and(overdue) || self.progress.is_none() {
            return;
        }
        self.turn_expiries();
        if !self.expiring.expiries.is_quiet() {
            let keys = self.expiring_in_flight();
            info!(
                flow = self.id.0,
                keys = keys.len(),
                "the target has let records wait; keys that may have expired meanwhile are read again"
            );
            for (db, key) in keys {
                self.counters.reread(Reason::Expired);
                self.want_origins((db, &key));
            }
        }
        self.expiring.handed.iter_mut().for_each(|at| *at = now);
    }

    /// Keys of the target.
    fn expiring_in_flight(&self) -> BTreeSet<(DbIndex, Bytes)> {
        let selection = &self.config.rules.selection;
        let is_at_risk = |(db, key): &(DbIndex, Bytes)| {
            let mut origins = selection.origins(*db, key).into_iter();
            origins.any(|(db, key)| self.expiring.expiries.is_at_risk(KeyDigest::of(db, &key)))
        };
        self.sink.in_flight().flat_map(wanted::named_in).filter(is_at_risk).collect()
    }
}

fn moved_to(command: &Command) -> Option<DbIndex> {
    std::str::from_utf8(command.args.get(2)?).ok()?.parse().ok().map(DbIndex)
}
