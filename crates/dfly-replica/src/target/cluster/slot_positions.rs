//! What slots hold of a flow that resumes: records that are passed over. Pure but for the question.

use std::collections::HashMap;

use bytes::Bytes;
use dfly_client::FlowId;
use dfly_journal::Lsn;
use dfly_translate::ReservedNames;
use redis_resp::Reply;
use redis_slots::{SLOTS, Slot};

use super::field;
use super::units::SlotPosition;
use crate::error::Error;
use crate::target::{Question, TargetConnection, strange};

/// The records that slots hold already.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// For each slot the first record that it lacks.
    until: HashMap<Slot, Lsn>,
    /// The largest of them.
    last: Lsn,
}

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No slot of its keys holds it.
    Apply,
    /// All of them do.
    Pass,
    /// Some do.
    Torn,
}

impl Passed {
    pub(crate) fn add(&mut self, slot: Slot, position: SlotPosition) {
        if let Some(next) = position.next() {
            self.last = self.last.max(next);
            self.until.insert(slot, next);
        }
    }

    /// Whether no record from `lsn` on is held.
    #[inline]
    pub(crate) fn is_behind(&self, lsn: Lsn) -> bool {
        lsn >= self.last
    }

    /// What becomes of the record `lsn`, whose keys lie in `slots`.
    pub(crate) fn verdict(&self, lsn: Lsn, slots: impl IntoIterator<Item = Slot>) -> Verdict {
        let is_held = |slot: Slot| self.until.get(&slot).is_some_and(|next| lsn < *next);
        let (mut held, mut lacking) = (false, false);
        for slot in slots {
            if is_held(slot) {
                held = true;
            } else {
                lacking = true;
            }
        }
        match (held, lacking) {
            (false, _) => Verdict::Apply,
            (true, false) => Verdict::Pass,
            (true, true) => Verdict::Torn,
        }
    }

    /// Every slot was emptied.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The positions that the slots of the cluster hold of a flow.
pub(crate) async fn positions(
    target: &mut TargetConnection,
    names: &ReservedNames,
    flow: FlowId,
) -> Result<Vec<(Slot, SlotPosition)>, Error> {
    let field = Bytes::from(field(flow));
    let question = |slot| {
        Question(vec![Bytes::from_static(b"HGET"), names.slot_position(Slot(slot)).into(), field.clone()])
    };
    let questions: Vec<Question> = (0..SLOTS).map(question).collect();
    let replies = target.ask_many(&questions).await?;
    let mut positions = Vec::new();
    for (slot, reply) in (0..SLOTS).map(Slot).zip(replies) {
        match &reply {
            Reply::Nil => {}
            Reply::Bulk(text) => {
                let position = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
                positions.push((slot, SlotPosition(position.ok_or_else(|| strange("HGET", &reply))?)));
            }
            _ => return Err(strange("HGET", &reply)),
        }
    }
    Ok(positions)
}

/// Whether any slot holds a position of any flow.
pub(crate) async fn is_any(target: &mut TargetConnection, names: &ReservedNames) -> Result<bool, Error> {
    if !target.is_cluster() {
        return Ok(false);
    }
    let questions: Vec<Question> =
        (0..SLOTS).map(|slot| Question::new(&[b"EXISTS", &names.slot_position(Slot(slot))])).collect();
    let replies = target.ask_many(&questions).await?;
    Ok(replies.iter().any(|reply| matches!(reply, Reply::Integer(count) if *count > 0)))
}

/// Removes the positions of all flows from all slots.
pub(crate) async fn forget(target: &mut TargetConnection, names: &ReservedNames) -> Result<(), Error> {
    let questions: Vec<Question> =
        (0..SLOTS).map(|slot| Question::new(&[b"DEL", &names.slot_position(Slot(slot))])).collect();
    for reply in target.ask_many(&questions).await? {
        if matches!(reply, Reply::Error(_)) {
            return Err(strange("DEL", &reply));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_by_itself() {
        let mut passed = Passed::default();
        assert!(passed.is_behind(Lsn(0)));
        let at = |lsn: u64| SlotPosition(1 << 63 | lsn << 16 | 3);
        passed.add(Slot(1), at(10));
        passed.add(Slot(2), at(20));
        passed.add(Slot(3), SlotPosition(99_999_999));
        assert!(!passed.is_behind(Lsn(19)) && passed.is_behind(Lsn(20)));
        for (lsn, slots, verdict) in [
            (9, &[1][..], Verdict::Pass),
            (10, &[1], Verdict::Apply),
            (9, &[1, 2], Verdict::Pass),
            (10, &[1, 2], Verdict::Torn),
            (9, &[3], Verdict::Apply),
            (9, &[], Verdict::Apply),
        ] {
            let slots = slots.iter().copied().map(Slot);
            assert_eq!(passed.verdict(Lsn(lsn), slots), verdict, "{lsn}");
        }
        passed.clear();
        assert!(passed.is_behind(Lsn(0)));
    }
}
