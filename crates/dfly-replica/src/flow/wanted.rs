//! Keys of a flow that are read again from the source (`reread.rs` decides), and what the target keeps of them.

use std::collections::BTreeSet;
use std::time::Instant;

use bytes::Bytes;
use dfly_client::FlowId;
use dfly_journal::{Command, Lsn};
use dfly_rdb::{Entry, KeyHeader};
use dfly_translate::{Flush, Output, lookup};
use dfly_wire::DbIndex;
use redis_resp::{arguments, commands};
use redis_sink::Refusal;
use tokio::sync::mpsc;
use tracing::debug;

use super::Flow;
use crate::error::FlowError;
use crate::reader::{ReadAnswer, ReadRequest};
use crate::reread::{AT_ONCE, Found, Place, Rereads, Resolved};

/// What the name begins with of the set in database 0 that names a flow's wanted keys, as `db:key`.
const WANTED: &str = "df2redis:reread:";

/// What the tool's own keys begin with.
const RESERVED: &[u8] = b"df2redis:";

/// The wanted keys, and the line to who reads them.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub rereads: Rereads,
    requests: mpsc::Sender<ReadRequest>,
    answer_to: mpsc::Sender<ReadAnswer>,
    pub answers: mpsc::Receiver<ReadAnswer>,
    /// Wanted, or no longer, since the last transaction.
    unwritten: BTreeSet<(Place, bool)>,
}

impl Wanted {
    /// With room for so many bytes of records that wait.
    pub(crate) fn new(requests: mpsc::Sender<ReadRequest>, parked: usize) -> Self {
        let (answer_to, answers) = mpsc::channel(AT_ONCE);
        Self { rereads: Rereads::new(parked), requests, answer_to, answers, unwritten: BTreeSet::new() }
    }

    /// The set that names the wanted keys of a flow.
    pub(crate) fn key(flow: FlowId) -> String {
        format!("{WANTED}{flow}")
    }

    /// Takes over what a run before wanted.
    pub(crate) fn adopt(&mut self, member: &[u8]) {
        let place = memchr::memchr(b':', member).and_then(|colon| {
            let db = std::str::from_utf8(member.get(..colon)?).ok()?.parse().ok()?;
            Some((DbIndex(db), Bytes::copy_from_slice(member.get(colon + 1..)?)))
        });
        if let Some(place) = place {
            self.rereads.want(place, Instant::now());
        }
    }

    pub(super) fn flushed(&mut self, flush: Flush) {
        match flush {
            Flush::All => self.rereads.clear(|_| true),
            Flush::Db(db) => self.rereads.clear(|other| other == db),
        }
    }
}

impl Flow {
    /// Wants a key from now on; its next transaction says so in the target.
    pub(super) fn want(&mut self, place: Place) {
        if self.wanted.rereads.want(place.clone(), Instant::now()) {
            debug!(flow = self.id.0, db = place.0.0, key = %place.1.escape_ascii(), "read again");
            self.wanted.unwritten.remove(&(place.clone(), false));
            self.wanted.unwritten.insert((place, true));
        }
        self.write_if_open();
    }

    fn resolved(&mut self, place: Place) {
        self.wanted.unwritten.remove(&(place.clone(), true));
        self.wanted.unwritten.insert((place, false));
        self.write_if_open();
    }

    /// In stable sync what is wanted is written in a transaction, the one that is open or one of its own.
    fn write_if_open(&mut self) {
        if self.progress.is_some() {
            self.open_transaction();
            self.write_wanted();
        }
    }

    /// Writes which keys are wanted, and which no longer.
    pub(super) fn write_wanted(&mut self) {
        let set = Wanted::key(self.id);
        let changes = std::mem::take(&mut self.wanted.unwritten);
        if !changes.is_empty() {
            self.translator.select(DbIndex(0), &mut self.batch);
        }
        for ((db, key), wanted) in changes {
            let member = [format!("{db}:").as_bytes(), &key].concat();
            let name: &[u8] = if wanted { b"SADD" } else { b"SREM" };
            self.batch.push(&[name, set.as_bytes(), &member]);
        }
    }

    pub(super) fn take_rereads(&mut self) {
        for reread in self.translator.take_rereads() {
            self.counters.reread(reread.reason);
            self.want((reread.db, reread.key));
        }
    }

    /// A record of a wanted key takes no part in the journal, nor do the other keys that it names; a key that it deletes
    /// is wanted no longer.
    pub(super) fn is_held_back(&mut self, command: &Command, next: Option<Lsn>) -> bool {
        let places = places(command);
        if !places.iter().any(|place| self.wanted.rereads.wants(place)) {
            return false;
        }
        if matches!(command.args.name(), b"DEL" | b"UNLINK") {
            for place in places {
                if self.wanted.rereads.forget(&place) {
                    self.resolved(place);
                }
            }
            return false;
        }
        match (places.as_slice(), next) {
            ([place], Some(next)) => {
                self.wanted.rereads.park(place, Lsn(next.0.saturating_sub(1)), command);
            }
            _ => places.into_iter().for_each(|place| self.want(place)),
        }
        true
    }

    /// Asks for values, and writes those that hold by now.
    pub(super) fn serve_wanted(&mut self, next: Lsn) -> Result<(), FlowError> {
        if !self.entered || self.wanted.rereads.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        while let Ok(permit) = self.wanted.requests.try_reserve() {
            let Some((place, ticket)) = self.wanted.rereads.next(now) else { break };
            permit.send(ReadRequest { flow: self.id, place, ticket, answers: self.wanted.answer_to.clone() });
        }
        while let Some((place, resolved)) = self.wanted.rereads.resolve(next, now) {
            if let Resolved::Exact(found, behind) = resolved {
                self.write_value(place, found)?;
                for record in behind {
                    self.replay(&record)?;
                }
            }
        }
        Ok(())
    }

    fn write_value(&mut self, place: Place, found: Option<Found>) -> Result<(), FlowError> {
        self.open_transaction();
        let (db, key) = place.clone();
        if let Some(stale) = &mut self.stale {
            stale.see(db, &key);
        }
        let now = self.config.clock.now();
        self.expiring.learn_value((db, &key), found.as_ref().and_then(|found| found.expire_at));
        match found {
            Some(Found { value, expire_at }) => {
                let header = KeyHeader { db, key, expire_at, ..KeyHeader::default() };
                let mut out = Output { now, commands: &mut self.batch };
                let effect = self.translator.entry(&Entry { header, value }, &mut out)?;
                self.note(effect, &place.1);
            }
            None => {
                let txid = dfly_journal::TxId(0);
                let args = dfly_journal::Args::of(&[&b"DEL"[..], &key]);
                self.replay(&Command { db, txid, args })?;
            }
        }
        self.resolved(place);
        self.counters.reread_done();
        Ok(())
    }

    /// A record that was parked. It may ask for its key to be read again.
    fn replay(&mut self, record: &Command) -> Result<(), FlowError> {
        let now = self.config.clock.now();
        self.check_expiring(record, true);
        self.translator.record(record, &mut Output { now, commands: &mut self.batch })?;
        self.learn_expiry(record, now);
        self.take_rereads();
        Ok(())
    }

    pub(super) fn on_answer(&mut self, answer: Option<ReadAnswer>) {
        if let Some((place, ticket, answer)) = answer {
            self.wanted.rereads.answer((&place, ticket), answer, Instant::now());
        }
    }

    /// The keys on the source that are not what they were because a command was refused: its own, and those that commands
    /// sent behind it have made of them. None if that cannot be told.
    pub(super) fn places_of(&self, refusal: &Refusal) -> Vec<Place> {
        let mut keys = BTreeSet::new();
        let db = DbIndex(refusal.db.unwrap_or(0));
        keys.extend(written_keys(&refusal.command).into_iter().map(|key| (db, key)));
        spread(&refusal.rest, db, &mut keys);
        for wire in self.sink.wires() {
            spread(wire, DbIndex(0), &mut keys);
        }
        for index in 0..self.batch.len() {
            // Without SELECT in between: a key of the same name in another database is read again needlessly.
            let command = self.batch.command(index).unwrap_or_default();
            for db in keys.iter().map(|(db, _)| *db).collect::<BTreeSet<_>>() {
                spread(command, db, &mut keys);
            }
        }
        let selection = &self.config.rules.selection;
        let origins = keys.iter().flat_map(|(db, key)| selection.origins(*db, key));
        origins.map(|(db, key)| (db, key.into())).collect()
    }
}

/// Adds the keys of commands that name one of `keys` among others.
fn spread(wire: &[u8], db: DbIndex, keys: &mut BTreeSet<(DbIndex, Bytes)>) {
    for named in named_in(wire, db) {
        if named.len() > 1 && named.iter().any(|place| keys.contains(place)) {
            keys.extend(named);
        }
    }
}

/// The keys that each of these commands names, the first of which is carried out in `db`.
pub(super) fn named_in(wire: &[u8], db: DbIndex) -> impl Iterator<Item = Vec<(DbIndex, Bytes)>> {
    commands(wire).scan(db, |db, command| {
        let mut words = arguments(command);
        if let (Some(b"SELECT"), Some(to)) = (words.next(), words.next()) {
            *db = std::str::from_utf8(to).ok().and_then(|to| to.parse().ok()).map_or(*db, DbIndex);
        }
        Some(written_keys(command).into_iter().map(|key| (*db, key)).collect())
    })
}

/// The keys of a command for the target, this tool's own left out.
fn written_keys(command: &[u8]) -> Vec<Bytes> {
    let words: Vec<&[u8]> = arguments(command).collect();
    let keys: Vec<&[u8]> = match (words.first(), words.get(2)) {
        (Some(&b"EVAL"), Some(count)) => {
            let count: usize = std::str::from_utf8(count).ok().and_then(|n| n.parse().ok()).unwrap_or(0);
            words.iter().skip(3).take(count).copied().collect()
        }
        (Some(name), _) => {
            let positions = lookup(name).map(|spec| spec.key_positions(&words)).unwrap_or_default();
            positions.into_iter().filter_map(|at| words.get(at).copied()).collect()
        }
        (None, _) => Vec::new(),
    };
    keys.into_iter().filter(|key| !key.starts_with(RESERVED)).map(Bytes::copy_from_slice).collect()
}

/// The keys of a record.
pub(super) fn places(command: &Command) -> Vec<Place> {
    let words: Vec<&[u8]> = command.args.iter().collect();
    let positions = lookup(command.args.name()).map(|spec| spec.key_positions(&words)).unwrap_or_default();
    positions.into_iter().filter_map(|at| Some((command.db, command.args.shared(at)?))).collect()
}
