//! Keys of a flow that are read again from the source: which they are, when they are read, what their value is worth, and
//! what the target knows of them. [`Refetch`] owns all of it and writes nothing itself.

pub(crate) mod ambiguous_origins;
pub(crate) mod extra_keys;
pub(crate) mod queue;
pub(crate) mod store;

use std::collections::VecDeque;
use std::time::Instant;

use dfly_journal::{Command, Lsn};
use dfly_translate::{Flush, Selection};

pub(crate) use ambiguous_origins::Missing;
pub(crate) use extra_keys::{Presence, Verdict};
pub(crate) use queue::{Answer, Fetched, MemoryHold, Reading, Resolved, Ticket};
pub(crate) use store::{Change, Noted};

use crate::keys::{RecordKeys, SourceKey, TargetKey};
use ambiguous_origins::AmbiguousOrigins;
use extra_keys::ExtraKeys;
use queue::RefetchQueue;
use store::Unwritten;

/// The keys of one flow that are to be read again.
#[derive(Debug)]
pub(crate) struct Refetch {
    queue: RefetchQueue,
    origins: AmbiguousOrigins,
    extra: ExtraKeys,
    unwritten: Unwritten,
    /// Keys whose value is written, and the transaction that writes it. They stay noted until the target has taken it.
    written: VecDeque<(u64, SourceKey)>,
    /// Ambiguous keys that a run before has noted. Their groups are not known yet.
    adopted: Vec<SourceKey>,
}

/// A question to the source.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// The value of a key; whether it has changed each time that it was read.
    Value { key: SourceKey, ticket: Ticket, is_hot: bool },
    /// Which of these keys exist.
    Presence(Vec<SourceKey>, Ticket),
}

impl Refetch {
    /// Nothing to be read, with room for so many bytes of records that wait.
    pub(crate) fn new(most_parked: usize) -> Self {
        Self {
            queue: RefetchQueue::new(most_parked),
            origins: AmbiguousOrigins::default(),
            extra: ExtraKeys::default(),
            unwritten: Unwritten::default(),
            written: VecDeque::new(),
            adopted: Vec::new(),
        }
    }

    /// Whether records need no look at this part.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.extra.len() == 0
    }

    /// How many keys wait for their value.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Since when the oldest of them waits.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.queue.oldest()
    }

    /// Whether records wait for a value.
    #[cfg(test)]
    pub(crate) fn has_parked(&self) -> bool {
        self.queue.has_parked()
    }

    pub(crate) fn contains(&self, key: &SourceKey) -> bool {
        self.queue.contains(key)
    }

    /// Whether what becomes of the key is not known before the source has answered.
    pub(crate) fn is_undecided(&self, key: &SourceKey) -> bool {
        self.queue.contains(key) || self.extra.contains(key)
    }

    pub(crate) fn is_ambiguous(&self, key: &SourceKey) -> bool {
        self.origins.contains(key)
    }

    /// Takes over what a run before has noted.
    pub(crate) fn adopt(&mut self, noted: Noted, now: Instant) {
        match noted.is_ambiguous {
            false => drop(self.queue.add(noted.key, now)),
            true => self.adopted.push(noted.key),
        }
    }

    /// Adopted keys whose groups are to be found, once.
    pub(crate) fn take_adopted(&mut self) -> Vec<SourceKey> {
        std::mem::take(&mut self.adopted)
    }

    /// Reads a key again, for certain.
    pub(crate) fn add(&mut self, key: SourceKey, now: Instant) {
        let was_ambiguous = self.origins.settle(&key);
        self.add_if_new(key, was_ambiguous, now);
    }

    fn add_if_new(&mut self, key: SourceKey, differs: bool, now: Instant) {
        self.extra.drop_key(&key);
        if self.queue.add(key.clone(), now) || differs {
            tracing::debug!(db = key.db.0, key = %key.name.escape_ascii(), "the key is refetched");
            self.unwritten.note(key, Change::Added);
        }
    }

    /// Reads again whatever a key of the target may come from.
    pub(crate) fn add_origins(&mut self, target: &TargetKey, selection: &Selection, now: Instant) {
        let origins = selection.origins(target.db, &target.name);
        let (is_single, mut is_certain) = (origins.len() == 1, false);
        for (db, name) in origins {
            let key = SourceKey::new(db, name);
            if is_single || (self.queue.contains(&key) && !self.origins.contains(&key)) {
                is_certain = true;
                self.add(key, now);
            } else {
                let is_new = self.origins.insert(target, key.clone());
                self.add_if_new(key, is_new, now);
            }
        }
        self.origins.begin(target, is_certain);
    }

    /// A record of these keys shows that their names on the target stand for them.
    pub(crate) fn confirm(&mut self, keys: &[SourceKey], selection: &Selection) {
        if self.origins.is_empty() {
            return;
        }
        for key in keys {
            if let Some((db, name)) = selection.destination(key.db, &key.name) {
                self.origins.confirm(&TargetKey::new(db, name));
            }
        }
    }

    /// The key's value is known, or the key is given up. True if it was to be read.
    pub(crate) fn remove(&mut self, key: &SourceKey) -> bool {
        let was_queued = self.queue.remove(key);
        if was_queued {
            self.resolved(key);
        }
        was_queued
    }

    fn resolved(&mut self, key: &SourceKey) {
        self.origins.settle(key);
        self.unwritten.note(key.clone(), Change::Removed);
    }

    /// A record of `key` alone waits for the key's value.
    pub(crate) fn park(&mut self, key: &SourceKey, lsn: Lsn, record: &Command) {
        self.queue.park(key, lsn, record);
    }

    /// A record is applied: its keys are no longer in question as extra keys.
    pub(crate) fn see_applied(&mut self, record: &RecordKeys<'_>) {
        self.extra.see(record);
    }

    /// What the source is to be asked next.
    pub(crate) fn next_question(&mut self, now: Instant) -> Option<Question> {
        if let Some((keys, ticket)) = self.extra.ask() {
            return Some(Question::Presence(keys, ticket));
        }
        self.queue.next(now).map(|(key, ticket)| {
            let is_hot = self.queue.is_hot(&key);
            Question::Value { key, ticket, is_hot }
        })
    }

    /// When [`Self::next_question`] may have one.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        let extra = self.extra.is_ready().then_some(now);
        extra.or_else(|| self.queue.deadline(now))
    }

    /// Gives the reason if the source refuses for good.
    pub(crate) fn on_value(
        &mut self,
        key: &SourceKey,
        ticket: Ticket,
        answer: Answer,
        now: Instant,
    ) -> Option<String> {
        self.queue.answer(key, ticket, answer, now)
    }

    pub(crate) fn on_presence(&mut self, ticket: Ticket, presence: Option<Presence>) {
        self.extra.answer(ticket, presence);
    }

    /// A key whose value can be judged, once the flow has come to `next`. A value that holds leaves the queue; the caller
    /// says what becomes of a key that does not exist by [`Self::miss`], and then calls [`Self::written`].
    pub(crate) fn resolve(&mut self, next: Lsn, now: Instant) -> Option<(SourceKey, Resolved)> {
        self.queue.resolve(next, now)
    }

    /// The source does not have the key.
    pub(crate) fn miss(&mut self, key: &SourceKey) -> Missing {
        self.origins.miss(key)
    }

    /// The key's value, or its absence, is written with this transaction.
    pub(crate) fn written(&mut self, key: &SourceKey, transaction: u64) {
        self.origins.settle(key);
        self.written.push_back((transaction, key.clone()));
    }

    /// The target has answered this transaction, and what it has refused is known.
    pub(crate) fn heard(&mut self, transaction: u64) {
        while let Some((_, key)) = self.written.pop_front_if(|(of, _)| *of <= transaction) {
            if !self.queue.contains(&key) {
                self.unwritten.note(key, Change::Removed);
            }
        }
    }

    /// Whether a batch of keys may be given that the source may not have.
    pub(crate) fn takes_extra_keys(&self) -> bool {
        self.extra.is_idle()
    }

    /// Keys that the source may not have.
    pub(crate) fn begin_extra_keys(&mut self, keys: Vec<SourceKey>) {
        let queue = &self.queue;
        self.extra.begin(keys.into_iter().filter(|key| !queue.contains(key)));
    }

    /// What became of them, once the flow has come to `next`.
    pub(crate) fn resolve_extra_keys(&mut self, next: Lsn) -> Option<Verdict> {
        self.extra.resolve(next)
    }

    /// What the target does not know yet.
    pub(crate) fn take_unwritten(&mut self) -> std::collections::BTreeMap<SourceKey, Change> {
        self.unwritten.take()
    }

    pub(crate) fn has_unwritten(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// Whether the target has not answered yet what was written last.
    #[cfg(test)]
    pub(crate) fn has_unheard(&self) -> bool {
        !self.written.is_empty()
    }

    /// The source was flushed. Gives the keys that are not read again therefore. Their notes go even in a flush that takes
    /// the sets with it: a note that waits in a batch comes behind the flush.
    pub(crate) fn flushed(&mut self, flush: Flush) -> Vec<SourceKey> {
        let goes = |key: &SourceKey| match flush {
            Flush::All => true,
            Flush::Db(db) => key.db == db,
        };
        let gone = self.queue.clear(goes);
        gone.iter().for_each(|key| self.unwritten.note(key.clone(), Change::Removed));
        self.origins.clear(goes);
        self.extra.clear(goes);
        gone
    }
}

#[cfg(test)]
mod tests {
    use dfly_wire::DbIndex;

    use super::*;

    fn key(name: &'static str) -> SourceKey {
        SourceKey::new(DbIndex(0), name)
    }

    #[test]
    fn what_the_target_learns() {
        let (now, mut refetch) = (Instant::now(), Refetch::new(100));
        refetch.add(key("a"), now);
        refetch.add(key("a"), now);
        assert_eq!(refetch.take_unwritten().into_iter().collect::<Vec<_>>(), [(key("a"), Change::Added)]);
        refetch.add(key("a"), now);
        assert!(!refetch.has_unwritten(), "the target knows");
        assert!(refetch.remove(&key("a")) && !refetch.remove(&key("a")));
        assert_eq!(refetch.take_unwritten().into_iter().collect::<Vec<_>>(), [(key("a"), Change::Removed)]);
    }

    #[test]
    fn all_origins_of_a_name_are_read_and_one_record_decides() {
        let mut selection = Selection::default();
        selection.renames.push("old:=new:".parse().unwrap());
        let (now, mut refetch) = (Instant::now(), Refetch::new(100));
        let target = TargetKey::new(DbIndex(0), "new:1");
        refetch.add_origins(&target, &selection, now);
        let (old, new) = (key("old:1"), key("new:1"));
        assert!(refetch.contains(&old) && refetch.contains(&new) && refetch.is_ambiguous(&old));
        assert_eq!(refetch.miss(&old), Missing::Left);
        refetch.confirm(std::slice::from_ref(&new), &selection);
        assert_eq!(refetch.miss(&new), Missing::Left, "a record says that it is meant");
    }

    #[test]
    fn a_flush_of_one_database_leaves_the_others() {
        let (now, mut refetch) = (Instant::now(), Refetch::new(100));
        refetch.add(key("a"), now);
        refetch.add(SourceKey::new(DbIndex(3), "b"), now);
        refetch.take_unwritten();
        assert_eq!(refetch.flushed(Flush::Db(DbIndex(0))), [key("a")]);
        assert!(!refetch.contains(&key("a")) && refetch.len() == 1);
        assert_eq!(refetch.take_unwritten().into_iter().collect::<Vec<_>>(), [(key("a"), Change::Removed)]);
        assert_eq!(refetch.flushed(Flush::All), [SourceKey::new(DbIndex(3), "b")]);
        assert!(refetch.is_idle());
    }
}
