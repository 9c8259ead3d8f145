//! Slots that a source of a Dragonfly Cluster has given away (C44). Each flow has a record of it. Their keys go from the target
//! once every flow has passed its record: before, a flow could still write one of them. Pure.

use std::collections::BTreeMap;

use dfly_client::FlowId;
use dfly_journal::Lsn;

use crate::slot_set::SlotSet;

/// One flow's record: the flow, and the record's number; `None` in a snapshot, where records have none.
pub(crate) type GoneRecord = (FlowId, Option<Lsn>);

/// The records whose keys are still on the target.
#[derive(Debug, Clone, Default)]
pub(crate) struct GoneSlots {
    flows: u16,
    records: BTreeMap<GoneRecord, SlotSet>,
}

impl GoneSlots {
    /// Of a source with so many flows.
    pub(crate) fn new(flows: u16) -> Self {
        Self { flows, records: BTreeMap::new() }
    }

    /// A flow has passed a record.
    pub(crate) fn pass(&mut self, record: GoneRecord, slots: &SlotSet) {
        self.records.entry(record).or_default().add(slots);
    }

    /// The slots that every flow has given away.
    pub(crate) fn ready(&self) -> SlotSet {
        let of_flow = |flow: u16| {
            let mut all = SlotSet::default();
            let own = self.records.iter().filter(|((owner, _), _)| owner.0 == flow);
            own.for_each(|(_, slots)| all.add(slots));
            all
        };
        (0..self.flows).map(of_flow).reduce(|all, slots| all.common(&slots)).unwrap_or_default()
    }

    /// The records that the journal has, and that are done with once the keys of these slots are gone.
    pub(crate) fn done_with(&self, slots: &SlotSet) -> Vec<(FlowId, Lsn)> {
        let done = self.clone().done(slots);
        done.into_iter().filter_map(|(flow, lsn)| Some((flow, lsn?))).collect()
    }

    /// The keys of these slots are gone from the target. Gives the records that are done with.
    pub(crate) fn done(&mut self, slots: &SlotSet) -> Vec<GoneRecord> {
        // Of a slot that was given away twice, the first time is done with.
        for flow in (0..self.flows).map(FlowId) {
            let mut left = slots.clone();
            for ((_, _), own) in self.records.iter_mut().filter(|((owner, _), _)| *owner == flow) {
                let first = own.common(&left);
                own.remove(&first);
                left.remove(&first);
            }
        }
        let done: Vec<GoneRecord> =
            self.records.iter().filter(|(_, slots)| slots.is_empty()).map(|(record, _)| *record).collect();
        done.iter().for_each(|record| drop(self.records.remove(record)));
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(flow: u16, lsn: u64) -> GoneRecord {
        (FlowId(flow), Some(Lsn(lsn)))
    }

    #[test]
    fn every_flow_has_to_pass() {
        let mut gone = GoneSlots::new(2);
        assert!(gone.ready().is_empty());
        gone.pass(record(0, 5), &SlotSet::parse("1-9"));
        assert!(gone.ready().is_empty());
        gone.pass(record(1, 7), &SlotSet::parse("1-9"));
        assert_eq!(gone.ready().to_string(), "1-9");
        assert_eq!(gone.done(&SlotSet::parse("1-9")), [record(0, 5), record(1, 7)]);
        assert!(gone.ready().is_empty());
    }

    #[test]
    fn a_slot_that_goes_twice() {
        let mut gone = GoneSlots::new(2);
        let slots = SlotSet::parse("3");
        gone.pass(record(0, 5), &slots);
        gone.pass(record(0, 6), &slots);
        gone.pass(record(1, 7), &slots);
        assert_eq!(gone.done(&gone.ready()), [record(0, 5), record(1, 7)]);
        assert!(gone.ready().is_empty(), "flow 1 has not passed its second record");
        gone.pass(record(1, 8), &slots);
        assert_eq!(gone.done(&gone.ready()), [record(0, 6), record(1, 8)]);
    }

    #[test]
    fn a_part_of_the_slots() {
        let mut gone = GoneSlots::new(2);
        gone.pass(record(0, 5), &SlotSet::parse("1-9"));
        gone.pass(record(1, 7), &SlotSet::parse("8-12"));
        assert_eq!(gone.ready().to_string(), "8-9");
        assert_eq!(gone.done(&gone.ready()), []);
        gone.pass(record(0, 6), &SlotSet::parse("10-12"));
        assert_eq!(gone.ready().to_string(), "10-12");
    }
}
