//! What a flow writes: values and records become commands of one batch, which is committed as a whole. It emits, and holds no
//! connection.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use dfly_client::FlowId;
use dfly_journal::{Args, Command, Lsn, TxId};
use dfly_rdb::{Entry, Event, KeyHeader};
use dfly_translate::{
    CommandFacts, CommandKind, Effect, Losses, Output, RefetchRequest, Rules, TranslateError, Translator,
};
use dfly_wire::{DbIndex, UnixMillis};
use redis_resp::{CommandBatch, EncodedCommand};
use redis_sink::Refusal;

use crate::checkpoint::fields;
use crate::clock::Now;
use crate::flow::oversized::set_aside;
use crate::flow::refetch::{Change, Fetched, Noted, Refetch};
use crate::flow::written_notes::WrittenNotes;
use crate::keys::{SourceKey, TargetKey};
use crate::rate_limiter::RateLimiter;
use crate::slot_set::SlotSet;
use crate::target::writer::{BatchLimits, BatchTag, TargetWriter};

/// A batch is committed when it has so many commands, while the target keeps up.
const COMMANDS: usize = 512;

/// The most keys that one DEL names.
const DELETED_AT_ONCE: usize = 256;

/// KEYS: the key, and the set in database 0 that names the flow's keys to be refetched; ARGV: the key's name in that set. A
/// missing key is refetched from here on, whatever becomes of this process.
const CHECK: &str = "if redis.call('EXISTS',KEYS[1])==1 then return 1 end \
    redis.call('SELECT',0) redis.call('SADD',KEYS[2],ARGV[1]) return redis.error_reply('MISSING it has expired')";

/// The same where the set lies in the slot of the key.
const CHECK_IN_SLOT: &str = "if redis.call('EXISTS',KEYS[1])==1 then return 1 end \
    redis.call('SADD',KEYS[2],ARGV[1]) return redis.error_reply('MISSING it has expired')";

/// One flow's batch, and what fills it.
#[derive(Debug)]
pub(crate) struct FlowWriter {
    flow: u16,
    rules: Arc<Rules>,
    translator: Translator,
    batch: CommandBatch,
    rate: RateLimiter,
    /// The largest argument that the target takes, in bytes.
    largest_argument: usize,
    /// A batch is committed when it is this large, while the target keeps up.
    limits: BatchLimits,
    /// When what is written now arrived.
    arrived: UnixMillis,
    /// While a first synchronisation is not complete.
    notes: Option<WrittenNotes>,
}

impl FlowWriter {
    /// For the flow that `translator` was made for. No more commands are committed than `rate` allows.
    pub(crate) fn new(flow: u16, rules: Arc<Rules>, translator: Translator, rate: RateLimiter) -> Self {
        let (batch, largest_argument) = (CommandBatch::default(), usize::MAX);
        let (limits, arrived) = (BatchLimits { commands: COMMANDS, bytes: usize::MAX }, UnixMillis(0));
        Self { flow, rules, translator, batch, rate, largest_argument, limits, arrived, notes: None }
    }

    /// The same for a target that takes arguments of so many bytes at the most.
    pub(crate) fn with_largest_argument(self, largest_argument: usize) -> Self {
        Self { largest_argument, ..self }
    }

    /// The same with batches of so many bytes.
    pub(crate) fn with_batches_of(self, bytes: usize) -> Self {
        Self { limits: BatchLimits { bytes, ..self.limits }, ..self }
    }

    /// Notes the keys that are written.
    pub(crate) fn noting(self, notes: Option<WrittenNotes>) -> Self {
        Self { notes, ..self }
    }

    /// The flow's snapshot is carried out: what is written from here on is not noted.
    pub(crate) fn end_notes(&mut self) {
        if self.notes.take().is_some_and(|notes| !notes.outlast_snapshot()) {
            self.forget_notes();
        }
    }

    /// Nothing is noted any more, and nothing is known of what was.
    pub(crate) fn abandon_notes(&mut self) {
        if self.notes.take().is_some() {
            self.forget_notes();
        }
    }

    fn forget_notes(&mut self) {
        self.translator.select(DbIndex(0), &mut self.batch);
        WrittenNotes::forget(&self.rules.names, self.flow, &mut self.batch);
    }

    /// Whether a command with these keys is one of the notes.
    pub(crate) fn is_of_notes<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) -> bool {
        let list = self.rules.names.written(self.flow);
        keys.take(1).any(|key| key == list.as_bytes())
    }

    /// Takes out of the batch what the target does not take.
    #[inline]
    pub(crate) fn set_oversized_aside(&mut self) -> Vec<Refusal> {
        set_aside(&mut self.batch, self.largest_argument)
    }

    /// Whether the batch is to be committed before anything is added, while the target keeps up.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.reaches(self.limits)
    }

    /// Whether the batch is as large as this.
    #[inline]
    pub(crate) fn reaches(&self, limits: BatchLimits) -> bool {
        self.batch.len() >= limits.commands || self.batch.byte_len() >= limits.bytes
    }

    /// The batch is about to grow to so many bytes.
    #[inline]
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.batch.reserve(bytes);
    }

    /// Gives every command that is not committed to `visit`, in order.
    pub(crate) fn for_each_uncommitted(&self, visit: &mut dyn FnMut(EncodedCommand<'_>)) {
        (0..self.batch.len()).filter_map(|place| self.batch.command(place)).for_each(visit);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Until when nothing more may be written.
    pub(crate) fn limited_until(&self, now: Instant) -> Option<Instant> {
        self.rate.wait_until(now)
    }

    pub(crate) fn set_rate(&mut self, rate: RateLimiter) {
        self.rate = rate;
    }

    /// What is written from here on arrived at this time.
    pub(crate) fn set_arrival(&mut self, arrived: UnixMillis) {
        self.arrived = arrived;
    }

    /// Writes a part of the snapshot.
    pub(crate) fn event(&mut self, event: &Event) -> Result<Effect, TranslateError> {
        let mut out = Output { now: self.arrived, commands: &mut self.batch };
        match event {
            Event::Aux { key, value } => self.translator.aux(key, value),
            Event::Entry(entry) => self.translator.entry(entry, &mut out),
            Event::Open { id, header, type_id } => self.translator.open((*id, *type_id), header, &mut out),
            Event::Piece { id, piece } => self.translator.piece(*id, piece, &mut out),
            Event::Close { id } => self.translator.close(*id, &mut out),
            _ => Ok(Effect::Nothing),
        }
    }

    /// Writes a record that was received at `received`.
    pub(crate) fn record(
        &mut self,
        record: &Command,
        received: UnixMillis,
    ) -> Result<Effect, TranslateError> {
        self.translator.record(record, &mut Output { now: received, commands: &mut self.batch })
    }

    /// The same for a record that waited while later ones were written.
    pub(crate) fn waiting_record(
        &mut self,
        record: &Command,
        received: UnixMillis,
    ) -> Result<Effect, TranslateError> {
        self.translator.waiting_record(record, &mut Output { now: received, commands: &mut self.batch })
    }

    /// Writes the value of a key that was refetched.
    pub(crate) fn value(
        &mut self,
        key: &SourceKey,
        fetched: Fetched,
        now: UnixMillis,
    ) -> Result<Effect, TranslateError> {
        let Fetched { value, expire_at, .. } = fetched;
        let header = KeyHeader { db: key.db, key: key.name.clone(), expire_at, ..KeyHeader::default() };
        let mut out = Output { now, commands: &mut self.batch };
        self.translator.entry(&Entry { header, value }, &mut out)
    }

    /// The record that removes these keys of one database, as the source would have journaled it.
    pub(crate) fn deletions(keys: &[SourceKey]) -> impl Iterator<Item = Command> {
        let same_db = keys.chunk_by(|one, other| one.db == other.db);
        same_db.flat_map(|keys| keys.chunks(DELETED_AT_ONCE)).map(|keys| {
            let words: Vec<&[u8]> =
                [&b"DEL"[..]].into_iter().chain(keys.iter().map(|key| &key.name[..])).collect();
            let db = keys.first().map_or(DbIndex(0), |key| key.db);
            Command { db, txid: TxId(0), args: Args::of(&words) }
        })
    }

    /// Has the target check that the key is there, before the record that needs it.
    pub(crate) fn check(&mut self, key: &SourceKey, target: &dyn TargetWriter) {
        let Some((db, name)) = self.rules.selection.destination(key.db, &key.name) else { return };
        if self.translator.leaves_out(db, &name) {
            return;
        }
        let home = target.home(&name);
        let script = if home.is_some() { CHECK_IN_SLOT } else { CHECK };
        let (set, member) = (self.rules.names.refetch(self.flow, home), Noted::member(key, false));
        self.translator.select(db, &mut self.batch);
        let words = [&b"EVAL"[..], script.as_bytes(), b"2", &name, set.as_bytes(), &member];
        let facts = CommandFacts::new(CommandKind::ExpiryCheck, db).idempotent();
        self.batch.push_keyed(&words, 3..5, facts.tag());
    }

    /// Writes which keys are to be refetched, and which not any more.
    pub(crate) fn note_refetches(&mut self, refetch: &mut Refetch, target: &dyn TargetWriter) {
        let changes = refetch.take_unwritten();
        if !changes.is_empty() {
            self.translator.select(DbIndex(0), &mut self.batch);
        }
        for (key, change) in changes {
            let destination = self.rules.selection.destination(key.db, &key.name);
            let home = target.home(destination.as_ref().map_or(&key.name, |(_, name)| name));
            let set = self.rules.names.refetch(self.flow, home);
            let (certain, ambiguous) = (Noted::member(&key, false), Noted::member(&key, true));
            let side_key = CommandFacts::side_key(DbIndex(0));
            let mut push = |words: &[&[u8]], facts: CommandFacts| {
                self.batch.push_keyed(words, 1..2, facts.tag());
            };
            match change {
                Change::Added if refetch.is_ambiguous(&key) => {
                    push(&[b"SADD", set.as_bytes(), &ambiguous], side_key.idempotent());
                }
                Change::Added => push(&[b"SADD", set.as_bytes(), &certain], side_key.idempotent()),
                Change::Removed => push(&[b"SREM", set.as_bytes(), &certain, &ambiguous], side_key),
            }
        }
    }

    /// Writes what the next session has to know of expiries.
    pub(crate) fn store_ttl_index(&mut self, value: &[u8]) {
        self.translator.select(DbIndex(0), &mut self.batch);
        let name = self.rules.names.expiries(self.flow);
        let facts = CommandFacts::side_key(DbIndex(0)).idempotent();
        self.batch.push_keyed(&[b"SET", name.as_bytes(), value], 1..2, facts.tag());
    }

    /// Writes which slots the source has given away with its record `lsn`.
    pub(crate) fn note_gone_slots(&mut self, lsn: Lsn, slots: &SlotSet) {
        self.translator.select(DbIndex(0), &mut self.batch);
        fields::write_gone(&self.rules.names, FlowId(self.flow), lsn, slots, &mut self.batch);
    }

    /// How many keys have members or fields that only [`Self::sweep`] removes.
    pub(crate) fn expiring_keys(&self) -> usize {
        self.translator.expiring_keys()
    }

    /// Removes members and fields that are due at `time`.
    pub(crate) fn sweep(&mut self, time: UnixMillis) {
        self.translator.sweep(time, &mut self.batch);
    }

    /// Hands the batch to the target. In the journal every batch ends in database 0, where its position is written.
    pub(crate) fn commit(&mut self, tag: BatchTag, target: &mut dyn TargetWriter, now: Now) {
        if !matches!(tag, BatchTag::Baseline) {
            self.translator.select(DbIndex(0), &mut self.batch);
        }
        let commands = self.batch.len() as u64;
        if let Some(notes) = &mut self.notes {
            notes.precede(&mut self.batch, self.translator.target());
        }
        self.rate.take(commands, now.instant);
        target.commit(&mut self.batch, tag, now.instant);
    }

    /// Whether a value of the target was left out.
    pub(crate) fn leaves_out(&self, key: &TargetKey) -> bool {
        self.translator.leaves_out(key.db, &key.name)
    }

    /// The target's key whose value grows under a name of this tool.
    pub(crate) fn grows_under(&self, db: DbIndex, name: &[u8]) -> Option<TargetKey> {
        self.translator.grows_under(db, name).map(|key| TargetKey::new(db, Bytes::copy_from_slice(key)))
    }

    /// The target has refused a value: as a payload, or a command of it. False if there is no other form.
    pub(crate) fn refuse_value(&mut self, key: &TargetKey, is_payload: bool) -> bool {
        self.translator.refuse_value(key.db, &key.name, is_payload)
    }

    /// Leaves out a value that the target refuses in every form.
    pub(crate) fn leave_out_refused(&mut self, key: &TargetKey, now: UnixMillis) {
        let mut out = Output { now, commands: &mut self.batch };
        self.translator.leave_out_refused(key.db, &key.name, &mut out);
    }

    /// Forgets what is not committed.
    pub(crate) fn discard(&mut self) {
        self.batch.truncate(0);
    }

    pub(crate) fn take_losses(&mut self) -> Losses {
        self.translator.take_losses()
    }

    pub(crate) fn take_refetches(&mut self) -> Vec<RefetchRequest> {
        self.translator.take_refetches()
    }

    /// The source was flushed.
    pub(crate) fn flushed(&mut self, flush: dfly_translate::Flush) {
        self.translator.flushed(flush);
    }
}
