//! Keys of the target that the source may not have: asked for many at a time, and removed behind one exact position. Pure.
//!
//! From the moment that a batch of names is given, a record that names one of them takes it out of the batch: the record,
//! or the refetch that it causes, decides what becomes of the key. The source is asked for the flow's LSN (a), which of the
//! keys it has, and the LSN again (b). A key that it does not have, and that no record has named before the flow came to b,
//! does not exist at b. Nothing of this is noted in the target: a scan that is broken off is begun anew.

use std::collections::HashSet;

use dfly_journal::Lsn;

use super::queue::Ticket;
use crate::keys::{RecordKeys, SourceKey};

/// Which keys of a batch the source does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Presence {
    /// The flow's next LSN before the source was asked.
    pub before: Lsn,
    /// The flow's next LSN behind it.
    pub behind: Lsn,
    /// The keys that it does not have.
    pub missing: Vec<SourceKey>,
}

/// What becomes of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// These do not exist at this point of the journal.
    pub gone: Vec<SourceKey>,
    /// The source has these after all, and no record has told: they are refetched.
    pub there: Vec<SourceKey>,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Idle,
    /// The source is to be asked.
    Ready,
    Asked(Ticket),
    Answered(Presence),
}

/// One batch at a time.
#[derive(Debug, Default)]
pub(crate) struct ExtraKeys {
    keys: HashSet<SourceKey>,
    stage: Stage,
    ticket: u64,
}

impl ExtraKeys {
    /// Whether another batch may be given.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Idle)
    }

    /// Whether the source is asked for this key.
    pub(crate) fn contains(&self, key: &SourceKey) -> bool {
        self.keys.contains(key)
    }

    /// How many keys are in the batch.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Takes a batch. The caller has asked whether it may.
    pub(crate) fn begin(&mut self, keys: impl IntoIterator<Item = SourceKey>) {
        self.keys.extend(keys);
        self.stage = if self.keys.is_empty() { Stage::Idle } else { Stage::Ready };
    }

    /// A record that is applied, or a key that is refetched, decides about these.
    pub(crate) fn see(&mut self, record: &RecordKeys<'_>) {
        if !self.keys.is_empty() {
            for key in record.all() {
                self.keys.remove(key);
            }
            self.end_if_empty();
        }
    }

    /// As [`Self::see`], for one key.
    pub(crate) fn drop_key(&mut self, key: &SourceKey) {
        self.keys.remove(key);
        self.end_if_empty();
    }

    /// Nothing is asked about a batch of which every key was decided about.
    fn end_if_empty(&mut self) {
        if self.keys.is_empty() && self.is_ready() {
            self.stage = Stage::Idle;
        }
    }

    /// The keys that the source is to be asked for, and the ticket of the question.
    pub(crate) fn ask(&mut self) -> Option<(Vec<SourceKey>, Ticket)> {
        if !matches!(self.stage, Stage::Ready) {
            return None;
        }
        self.ticket += 1;
        self.stage = Stage::Asked(Ticket(self.ticket));
        Some((self.keys.iter().cloned().collect(), Ticket(self.ticket)))
    }

    /// Whether [`Self::ask`] has a question.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready)
    }

    /// The source has answered; `None`: it could not be asked, and is asked again.
    pub(crate) fn answer(&mut self, ticket: Ticket, presence: Option<Presence>) {
        if matches!(self.stage, Stage::Asked(asked) if asked == ticket) {
            self.stage = presence.map_or(Stage::Ready, Stage::Answered);
            self.end_if_empty();
        }
    }

    /// What becomes of the batch, once the flow has come to `next`.
    pub(crate) fn resolve(&mut self, next: Lsn) -> Option<Verdict> {
        let Stage::Answered(presence) = &self.stage else { return None };
        if presence.behind > next {
            return None;
        }
        let Stage::Answered(presence) = std::mem::take(&mut self.stage) else { return None };
        let mut left = std::mem::take(&mut self.keys);
        let gone = presence.missing.into_iter().filter(|key| left.remove(key)).collect();
        Some(Verdict { gone, there: left.into_iter().collect() })
    }

    /// The source was flushed: the keys for which `goes` holds are no longer in question.
    pub(crate) fn clear(&mut self, goes: impl Fn(&SourceKey) -> bool) {
        self.keys.retain(|key| !goes(key));
        if self.keys.is_empty() {
            self.stage = Stage::Idle;
        }
    }
}

#[cfg(test)]
mod tests {
    use dfly_journal::{Args, Command, TxId};
    use dfly_wire::DbIndex;

    use super::*;

    fn key(name: &'static str) -> SourceKey {
        SourceKey::new(DbIndex(0), name)
    }

    #[test]
    fn a_batch_of_which_nothing_is_left_ends() {
        let set = Command { db: DbIndex(0), txid: TxId(0), args: Args::of(&["SET", "a", "1"]) };
        let mut extra = ExtraKeys::default();
        extra.begin([key("a")]);
        extra.see(&RecordKeys::of(&set));
        assert!(extra.is_idle(), "before it was asked about");
        extra.begin([key("a")]);
        let (_, ticket) = extra.ask().unwrap();
        extra.drop_key(&key("a"));
        assert!(!extra.is_idle());
        extra.answer(ticket, None);
        assert!(extra.is_idle(), "when the question failed");
    }

    #[test]
    fn what_a_record_names_is_not_removed() {
        let mut extra = ExtraKeys::default();
        extra.begin(["a", "b", "c", "d"].map(key));
        let (mut asked, ticket) = extra.ask().unwrap();
        asked.sort();
        assert_eq!(asked, ["a", "b", "c", "d"].map(key));
        assert!(extra.ask().is_none() && !extra.is_idle());
        let set = Command { db: DbIndex(0), txid: TxId(0), args: Args::of(&["SET", "b", "1"]) };
        extra.see(&RecordKeys::of(&set));
        let missing = ["a", "b", "c"].map(key).to_vec();
        let presence = Presence { before: Lsn(5), behind: Lsn(9), missing };
        extra.answer(Ticket(77), Some(presence.clone()));
        assert!(extra.resolve(Lsn(9)).is_none(), "the answer to another question");
        extra.answer(ticket, Some(presence));
        assert!(extra.resolve(Lsn(8)).is_none(), "the flow has not come to 9");
        extra.drop_key(&key("c"));
        let verdict = extra.resolve(Lsn(9)).unwrap();
        assert_eq!((verdict.gone, verdict.there), (vec![key("a")], vec![key("d")]));
        assert!(extra.is_idle() && extra.len() == 0);
    }

    #[test]
    fn a_flush_of_one_database_leaves_the_keys_of_others_in_question() {
        let (mut extra, other) = (ExtraKeys::default(), SourceKey::new(DbIndex(3), "b"));
        extra.begin([key("a"), other.clone()]);
        let (_, ticket) = extra.ask().unwrap();
        extra.clear(|key| key.db == DbIndex(0));
        let missing = vec![key("a"), other.clone()];
        extra.answer(ticket, Some(Presence { before: Lsn(1), behind: Lsn(1), missing }));
        assert_eq!(extra.resolve(Lsn(1)), Some(Verdict { gone: vec![other], there: vec![] }));
    }

    #[test]
    fn asked_again_where_the_source_was_away() {
        let mut extra = ExtraKeys::default();
        extra.begin([key("a")]);
        let (_, ticket) = extra.ask().unwrap();
        extra.answer(ticket, None);
        assert!(extra.is_ready() && extra.ask().is_some());
        extra.clear(|_| true);
        assert!(extra.is_idle());
        extra.begin([]);
        assert!(extra.is_idle(), "an empty batch is no batch");
    }
}
