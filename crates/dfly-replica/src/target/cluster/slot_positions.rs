//! Which records the slots of a cluster have had of a flow that resumes: they were carried out, or refused unheard.

use std::collections::HashMap;

use bytes::Bytes;
use dfly_client::FlowId;
use dfly_journal::Lsn;
use redis_resp::Reply;
use redis_slots::{SLOTS, Slot};

use super::options::field;
use super::slot_batches::SlotPosition;
use crate::error::Error;
use crate::target::questions::{Question, TargetConnection};
use crate::target::replies::strange;
use crate::target::writer::Held;

/// The records that slots hold already.
#[derive(Debug, Default)]
pub(crate) struct SlotPositions {
    /// For each slot the first record that it lacks.
    until: HashMap<Slot, Lsn>,
    /// The largest of them.
    last: Lsn,
}

impl SlotPositions {
    pub(crate) fn add(&mut self, slot: Slot, position: SlotPosition) {
        if let Some(next) = position.next() {
            self.last = self.last.max(next);
            self.until.insert(slot, next);
        }
    }

    /// Whether any record from `lsn` on may be held.
    #[inline]
    pub(crate) fn may_hold(&self, lsn: Lsn) -> bool {
        lsn < self.last
    }

    /// Whether the record `lsn`, whose keys lie in `slots`, is held.
    pub(crate) fn holds(&self, lsn: Lsn, slots: impl IntoIterator<Item = Slot>) -> Held {
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
            (false, _) => Held::No,
            (true, false) => Held::Yes,
            (true, true) => Held::Partly,
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
    flow: FlowId,
) -> Result<Vec<(Slot, SlotPosition)>, Error> {
    let names = target.names().clone();
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
pub(crate) async fn is_any(target: &mut TargetConnection) -> Result<bool, Error> {
    let names = target.names().clone();
    let questions: Vec<Question> =
        (0..SLOTS).map(|slot| Question::new(&[b"EXISTS", &names.slot_position(Slot(slot))])).collect();
    let replies = target.ask_many(&questions).await?;
    Ok(replies.iter().any(|reply| matches!(reply, Reply::Integer(count) if *count > 0)))
}

/// Removes the positions of all flows from all slots.
pub(crate) async fn forget(target: &mut TargetConnection) -> Result<(), Error> {
    let names = target.names().clone();
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
        let mut held = SlotPositions::default();
        assert!(!held.may_hold(Lsn(0)));
        let at = |lsn: u64| SlotPosition(1 << 63 | lsn << 16 | 3);
        held.add(Slot(1), at(10));
        held.add(Slot(2), at(20));
        held.add(Slot(3), SlotPosition(99_999_999));
        assert!(held.may_hold(Lsn(19)) && !held.may_hold(Lsn(20)));
        for (lsn, slots, expected) in [
            (9, &[1][..], Held::Yes),
            (10, &[1], Held::No),
            (9, &[1, 2], Held::Yes),
            (10, &[1, 2], Held::Partly),
            (9, &[3], Held::No),
            (9, &[], Held::No),
        ] {
            let slots = slots.iter().copied().map(Slot);
            assert_eq!(held.holds(Lsn(lsn), slots), expected, "{lsn}");
        }
        held.clear();
        assert!(!held.may_hold(Lsn(0)));
    }
}
