//! What becomes of a record before anything is written: one decision over the record's keys, which are found once.

pub(crate) mod early_expiry;
pub(crate) mod omitted_deletes;
pub(crate) mod ownership;
pub(crate) mod ttl_index;
pub(crate) mod unsynced_keys;

use dfly_journal::Lsn;
use dfly_translate::Reason;
use dfly_wire::{DbIndex, UnixMillis};

pub(crate) use early_expiry::EarlyExpiry;
pub(crate) use omitted_deletes::OmittedDeletes;
pub(crate) use ownership::Ownership;
pub(crate) use unsynced_keys::UnsyncedKeys;

use crate::flow::refetch::Refetch;
use crate::keys::{RecordKeys, SourceKey};
use crate::target::writer::Held;

/// What a flow knows of its keys that may keep a record from being applied.
#[derive(Debug)]
pub(crate) struct Admission {
    pub omitted: OmittedDeletes,
    /// Present while the target may hold older values of keys that have not come yet.
    pub unsynced: Option<UnsyncedKeys>,
    pub expiry: EarlyExpiry,
    pub ownership: Ownership,
}

/// What becomes of a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is applied.
    Apply {
        /// Keys that it deletes, and that need not be refetched any more.
        settled: Vec<SourceKey>,
        /// Keys that the target has to check first: it may have let them expire.
        checked: Vec<SourceKey>,
    },
    /// It is passed over.
    Skip(Skipped),
    /// It waits for the value of its only key, which is being refetched.
    Park(SourceKey),
    /// It is not applied; all of its keys are refetched.
    Refetch(Option<Reason>),
}

/// Why a record is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skipped {
    /// It writes a copy of a key that another flow owns.
    Copy,
}

/// A record that is to be decided about.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    pub record: &'a RecordKeys<'a>,
    /// Its number; `None` inside a snapshot, where records do not count.
    pub lsn: Option<Lsn>,
    /// Whether the target has it.
    pub held: Held,
}

impl Admission {
    /// Decides, without changing anything.
    pub(crate) fn decide(&self, candidate: &Candidate<'_>, refetch: &Refetch) -> Decision {
        let record = candidate.record;
        match candidate.held {
            Held::No => {}
            // Once more it does the same, and what follows it comes again too.
            Held::Yes if record.replaces() => {}
            // The target may have refused it, and nobody has heard that.
            Held::Yes | Held::Partly => return Decision::Refetch(None),
        }
        // What it does to its keys is not known, so none of its records can wait for a value.
        if !record.is_known() && !record.all().is_empty() {
            return Decision::Refetch(Some(Reason::Unknown));
        }
        let settled = match decide_refetched(candidate, refetch) {
            Ok(settled) => settled,
            Err(decision) => return decision,
        };
        if let Some(unsynced) = &self.unsynced
            && !record.replaces()
            && unsynced.has_any(record.all())
        {
            return Decision::Refetch(None);
        }
        let checked = match self.decide_expiring(candidate) {
            Ok(checked) => checked,
            Err(decision) => return decision,
        };
        match self.ownership.is_copied_record(record) {
            Some(true) => Decision::Skip(Skipped::Copy),
            Some(false) | None => Decision::Apply { settled, checked },
        }
    }

    /// The keys to be checked on the target. Inside a snapshot there are no transactions to check them in, so a record at
    /// risk has its keys refetched.
    fn decide_expiring(&self, candidate: &Candidate<'_>) -> Result<Vec<SourceKey>, Decision> {
        if self.expiry.is_quiet() || candidate.record.replaces() {
            return Ok(Vec::new());
        }
        match candidate.lsn {
            Some(_) if self.expiry.may_have_stayed(candidate.record) => {
                Err(Decision::Refetch(Some(Reason::Expired)))
            }
            Some(_) => Ok(self.expiry.to_check(candidate.record)),
            None if candidate.record.all().iter().any(|key| self.expiry.is_at_risk(key)) => {
                Err(Decision::Refetch(Some(Reason::Expired)))
            }
            None => Ok(Vec::new()),
        }
    }

    /// A value has come: in the snapshot, or because its key was refetched.
    pub(crate) fn see_value(&mut self, db: DbIndex, name: &[u8], expire_at: Option<UnixMillis>) {
        if let Some(unsynced) = &mut self.unsynced {
            unsynced.see(db, name);
        }
        self.expiry.learn_value(db, name, expire_at);
    }

    /// A record is applied.
    pub(crate) fn see_applied(&mut self, record: &RecordKeys<'_>, now: UnixMillis) {
        self.expiry.learn_record(record, now);
    }

    /// A record is about to be applied, or is the copy of a foreign key.
    pub(crate) fn see_admitted(&mut self, record: &RecordKeys<'_>) {
        if let Some(unsynced) = &mut self.unsynced
            && record.replaces()
        {
            record.all().iter().for_each(|key| unsynced.see(key.db, &key.name));
        }
        if self.ownership.is_copied_record(record).is_none() {
            self.ownership.see_record(record);
        }
    }
}

/// The keys in the refetch queue that the record deletes; or what becomes of the record, if one of its keys is in the
/// queue.
fn decide_refetched(candidate: &Candidate<'_>, refetch: &Refetch) -> Result<Vec<SourceKey>, Decision> {
    if refetch.len() == 0 {
        return Ok(Vec::new());
    }
    let keys = candidate.record.all();
    if !keys.iter().any(|key| refetch.contains(key)) {
        return Ok(Vec::new());
    }
    if candidate.record.deletes() {
        return Ok(keys.iter().filter(|key| refetch.contains(key)).cloned().collect());
    }
    match (keys, candidate.lsn) {
        ([key], Some(_)) => Err(Decision::Park(key.clone())),
        _ => Err(Decision::Refetch(None)),
    }
}

#[cfg(test)]
mod tests;
