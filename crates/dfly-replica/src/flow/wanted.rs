//! Keys of a flow that are read again from the source (`reread.rs` decides), and what the target keeps of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use dfly_client::FlowId;
use dfly_journal::{Command, Lsn};
use dfly_rdb::{Entry, KeyHeader};
use dfly_translate::{CommandFacts, CommandKind, Flush, Output, Reason, ReservedNames, Rules, lookup};
use dfly_wire::DbIndex;
use redis_resp::EncodedCommand;
use redis_sink::Refusal;
use redis_sink::cluster::{Lost, Memo};
use redis_slots::Slot;
use tokio::sync::mpsc;
use tracing::debug;

use super::guesses::{Guesses, Missing};
use super::{Flow, expiring};
use crate::config::EngineConfig;
use crate::error::{Error, FlowError};
use crate::reader::{ReadAnswer, ReadRequest};
use crate::reread::{AT_ONCE, Found, Place, Rereads, Resolved};
use crate::target::{connect_target, members};

/// The wanted keys, and the line to who reads them.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub rereads: Rereads,
    requests: mpsc::Sender<ReadRequest>,
    answer_to: mpsc::Sender<ReadAnswer>,
    pub answers: mpsc::Receiver<ReadAnswer>,
    /// Keys that may not be those that were meant: the target's key has another origin too.
    guesses: Guesses,
    /// Wanted, or no longer, since the last transaction.
    unwritten: BTreeSet<(Place, bool)>,
}

impl Wanted {
    /// With room for so many bytes of records that wait.
    pub(crate) fn new(requests: mpsc::Sender<ReadRequest>, parked: usize) -> Self {
        let (answer_to, answers) = mpsc::channel(AT_ONCE);
        Self {
            rereads: Rereads::new(parked),
            requests,
            answer_to,
            answers,
            guesses: Guesses::default(),
            unwritten: BTreeSet::new(),
        }
    }

    /// Notes the keys of a command for a cluster as wanted, each in its slot.
    pub(crate) fn memo(rules: Arc<Rules>, flow: FlowId) -> Memo {
        Memo::new(move |command, out| {
            for key in written_keys(command) {
                let set = rules.names.reread(flow.0, Some(Slot::of(&key)));
                let origins = rules.selection.origins(DbIndex(0), &key);
                let guess: &[u8] = if origins.len() > 1 { b"?" } else { b"" };
                for (db, key) in origins {
                    let member = [guess, &Self::member(&(db, key.into()))].concat();
                    let tag = CommandFacts::side_key(DbIndex(0)).idempotent().tag();
                    out.push_keyed(&[b"SADD", set.as_bytes(), &member], 1..2, tag);
                }
            }
        })
    }

    /// Takes over what a run before wanted.
    pub(crate) fn adopt(&mut self, member: &[u8]) {
        let guess = member.strip_prefix(b"?");
        if let Some(place) = Self::place(guess.unwrap_or(member)) {
            let new = self.rereads.want(place.clone(), Instant::now());
            match guess {
                // Its group is found when the flow runs.
                Some(_) if new => {
                    self.guesses.insert(&place.clone(), place);
                }
                Some(_) => {}
                None => {
                    self.guesses.remove(&place);
                }
            }
        }
    }

    /// What a member of the set of wanted keys is called: `db:key`, behind a `?` if the key is a guess.
    pub(super) fn member((db, key): &Place) -> Vec<u8> {
        [format!("{db}:").as_bytes(), key].concat()
    }

    fn place(member: &[u8]) -> Option<Place> {
        let colon = memchr::memchr(b':', member)?;
        let db = std::str::from_utf8(member.get(..colon)?).ok()?.parse().ok()?;
        Some((DbIndex(db), Bytes::copy_from_slice(member.get(colon + 1..)?)))
    }

    /// What the target holds of the keys that all flows want, those of database `but` left out.
    pub(super) async fn elsewhere(
        config: &EngineConfig,
        (flows, but): (u16, DbIndex),
    ) -> Result<Vec<(Bytes, Vec<Bytes>)>, Error> {
        let (mut target, _) = connect_target(config).await?;
        let mut sets = Vec::new();
        for flow in (0..flows).map(FlowId) {
            let set = Bytes::from(config.rules.names.reread(flow.0, None));
            let mut found = members(&mut target, "SMEMBERS", &[b"SMEMBERS", &set]).await?;
            found.retain(|member| {
                let place = Self::place(member.strip_prefix(b"?").unwrap_or(member));
                place.is_some_and(|(db, _)| db != but)
            });
            if !found.is_empty() {
                sets.push((set, found));
            }
        }
        Ok(sets)
    }

    pub(super) fn flushed(&mut self, flush: Flush) {
        let goes = |other: DbIndex| match flush {
            Flush::All => true,
            Flush::Db(db) => other == db,
        };
        self.rereads.clear(goes);
        self.guesses.clear(|(db, _)| goes(*db));
    }
}

impl Flow {
    /// Wants a key from now on; its next transaction says so in the target.
    pub(super) fn want(&mut self, place: Place) {
        let guessed = self.wanted.guesses.remove(&place);
        self.want_if(place, guessed);
    }

    /// Wants a key; says so in the target if it was not wanted before, or `differs` from how it was.
    fn want_if(&mut self, place: Place, differs: bool) {
        if self.wanted.rereads.want(place.clone(), Instant::now()) || differs {
            debug!(flow = self.id.0, db = place.0.0, key = %place.1.escape_ascii(), "read again");
            self.wanted.unwritten.remove(&(place.clone(), false));
            self.wanted.unwritten.insert((place, true));
        }
        self.write_if_open();
    }

    /// Wants the keys of the source that a key of the target may come from.
    pub(super) fn want_origins(&mut self, (db, key): (DbIndex, &[u8])) {
        let origins = self.config.rules.selection.origins(db, key);
        let (certain, target) = (origins.len() == 1, (db, Bytes::copy_from_slice(key)));
        let mut is_meant = false;
        for (db, key) in origins {
            let place = (db, Bytes::from(key));
            let is_guess = self.wanted.guesses.contains(&place);
            if certain || (self.wanted.rereads.wants(&place) && !is_guess) {
                is_meant = true;
                self.want(place);
            } else {
                let is_new = self.wanted.guesses.insert(&target, place.clone());
                self.want_if(place, is_new);
            }
        }
        self.wanted.guesses.ask(&target, is_meant);
    }

    /// What a run before has guessed: all keys are read again that its keys of the target may stand for.
    pub(super) fn regroup_guesses(&mut self) {
        for (db, key) in self.wanted.guesses.targets() {
            let named = self.config.rules.selection.destination(db, &key);
            self.wanted.guesses.clear(|place| *place == (db, key.clone()));
            self.wanted.rereads.forget(&(db, key));
            if let Some((db, name)) = named {
                self.want_origins((db, &name));
            }
        }
    }

    /// A record of these keys says that they are what their names on the target stand for.
    fn mean_guesses(&mut self, places: &[Place]) {
        if self.wanted.guesses.is_empty() {
            return;
        }
        for (db, key) in places {
            if let Some((db, name)) = self.config.rules.selection.destination(*db, key) {
                self.wanted.guesses.mean(&(db, name.into()));
            }
        }
    }

    fn resolved(&mut self, place: Place) {
        self.wanted.guesses.remove(&place);
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

    /// The set that names a key of the target as wanted.
    pub(super) fn wanted_set(&self, key: &[u8]) -> String {
        self.config.rules.names.reread(self.id.0, self.is_in_cluster().then(|| Slot::of(key)))
    }

    /// Writes which keys are wanted, and which no longer.
    pub(super) fn write_wanted(&mut self) {
        let changes = std::mem::take(&mut self.wanted.unwritten);
        if !changes.is_empty() {
            self.translator.select(DbIndex(0), &mut self.batch);
        }
        for (place, wanted) in changes {
            let (member, guess) = (Wanted::member(&place), self.wanted.guesses.contains(&place));
            let named = self.config.rules.selection.destination(place.0, &place.1);
            let set = self.wanted_set(named.as_ref().map_or(&place.1, |(_, name)| name));
            let guessed = [b"?", &member[..]].concat();
            let facts = CommandFacts::side_key(DbIndex(0));
            let (words, facts): (&[&[u8]], _) = match wanted {
                true if guess => (&[b"SADD", set.as_bytes(), &guessed], facts.idempotent()),
                true => (&[b"SADD", set.as_bytes(), &member], facts.idempotent()),
                false => (&[b"SREM", set.as_bytes(), &member, &guessed], facts),
            };
            self.batch.push_keyed(words, 1..2, facts.tag());
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
        self.mean_guesses(&places);
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
        // The source has, or had, such a key: what becomes of it is not left as it is.
        for place in
            places.iter().filter(|place| self.wanted.guesses.contains(place)).cloned().collect::<Vec<_>>()
        {
            self.want(place);
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
            // It is another one that the target holds there.
            None if self.wanted.guesses.miss(&place) == Missing::Left => {}
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

    /// Reads again what is not as it was because a command was refused: its own keys, and those that commands sent behind it
    /// have made of them. False if that cannot be told.
    pub(super) fn want_refused(&mut self, refusal: &Refusal) -> bool {
        // A slot that is on its way has some of its keys elsewhere; the next sweep comes.
        if self.is_in_cluster() && CommandFacts::of(refusal.command()).kind == CommandKind::Sweep {
            return true;
        }
        let keys = self.spoiled_by(refusal);
        let checked = expiring::checked(refusal).and_then(Wanted::place);
        let own = checked.as_ref().and_then(|(db, key)| self.config.rules.selection.destination(*db, key));
        let is_own =
            |db: DbIndex, key: &[u8]| own.as_ref().is_some_and(|own| (own.0, &own.1[..]) == (db, key));
        for (db, key) in keys.iter().filter(|(db, key)| !is_own(*db, key)) {
            self.want_origins((*db, key));
        }
        let known = !keys.is_empty();
        checked.into_iter().for_each(|place| self.want(place));
        known
    }

    /// Keys of the target.
    fn spoiled_by(&self, refusal: &Refusal) -> BTreeSet<(DbIndex, Bytes)> {
        let mut keys = BTreeSet::from_iter(named_in(refusal.command()));
        refusal.rest().for_each(|command| spread(command, &mut keys));
        self.with_followers(keys)
    }

    /// Reads again what commands whose order is lost have left, and what later ones make of it.
    pub(super) fn want_lost(&mut self, lost: &[Lost]) {
        let keys = lost.iter().flat_map(|lost| named_in(lost.command()));
        let keys = self.with_followers(keys.collect());
        for (db, key) in keys {
            self.counters.reread(Reason::Moved);
            self.want_origins((db, &key));
        }
    }

    /// The same keys of the target, and those that commands which are not answered, or not sent, make of them.
    fn with_followers(&self, mut keys: BTreeSet<(DbIndex, Bytes)>) -> BTreeSet<(DbIndex, Bytes)> {
        self.sink.in_flight().chain(self.batch.iter()).for_each(|command| spread(command, &mut keys));
        keys
    }
}

/// Adds the keys of a command that names one of `keys` among others.
fn spread(command: EncodedCommand<'_>, keys: &mut BTreeSet<(DbIndex, Bytes)>) {
    // Most commands have one key, and most of the time none of their keys is among `keys`.
    if command.keys().nth(1).is_some() && named_in(command).any(|place| keys.contains(&place)) {
        keys.extend(named_in(command));
    }
}

/// The keys of a command for the target with their database, reserved ones left out.
pub(super) fn named_in(command: EncodedCommand<'_>) -> impl Iterator<Item = (DbIndex, Bytes)> {
    let db = CommandFacts::of(command).db;
    written_keys(command).map(move |key| (db, key))
}

/// The keys of a command for the target, reserved ones left out.
fn written_keys(command: EncodedCommand<'_>) -> impl Iterator<Item = Bytes> {
    command.keys().filter(|key| !ReservedNames::is_reserved(key)).map(Bytes::copy_from_slice)
}

/// The keys of a record.
pub(super) fn places(command: &Command) -> Vec<Place> {
    let words: Vec<&[u8]> = command.args.iter().collect();
    let positions = lookup(command.args.name()).map(|spec| spec.key_positions(&words)).unwrap_or_default();
    positions.into_iter().filter_map(|at| Some((command.db, command.args.shared(at)?))).collect()
}

#[cfg(test)]
mod tests {
    use dfly_testkit::{RedisOptions, RedisServer};
    use redis_resp::connection::{Endpoint, Peer};

    use super::*;

    fn at(redis: &RedisServer) -> Endpoint {
        let (host, port) = (redis.address().ip().to_string(), redis.address().port());
        Endpoint::new(Peer::Target, host, port)
    }

    /// A flush of database 0 takes the sets along; what they say of other databases is to last.
    #[tokio::test]
    async fn what_is_wanted_elsewhere() {
        let redis = RedisServer::start(RedisOptions::default()).unwrap();
        let mut client = redis.client().unwrap();
        for line in ["0 0:here ?0:too nonsense", "1 3:there ?30:there:too 0:here"] {
            let (flow, members) = line.split_once(' ').unwrap();
            let set = format!("df2redis:reread:{flow}");
            let words = ["SADD", &set].into_iter().chain(members.split(' '));
            client.expect(&words.map(str::as_bytes).collect::<Vec<_>>()).unwrap();
        }
        let config = EngineConfig::new(at(&redis), at(&redis));
        let mut found = Wanted::elsewhere(&config, (2, DbIndex(0))).await.unwrap();
        found.iter_mut().for_each(|(_, members)| members.sort());
        let kept = vec![Bytes::from("3:there"), Bytes::from("?30:there:too")];
        assert_eq!(found, [(Bytes::from("df2redis:reread:1"), kept)]);
    }
}
