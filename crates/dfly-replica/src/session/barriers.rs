//! The two places where flows wait for each other. Pure: arrivals in, decisions out.

use std::collections::{BTreeMap, BTreeSet};

use dfly_client::FlowId;
use dfly_translate::Flush;
use thiserror::Error;

use crate::checkpoint::position::Position;

/// Knows when every flow has shown the end of its snapshot: only then may the stable stream be asked for (I4, P20).
#[derive(Debug, Clone)]
pub struct CutBarrier {
    flows: usize,
    reached: BTreeSet<FlowId>,
}

impl CutBarrier {
    /// For a session of `flows` flows.
    pub fn new(flows: u16) -> Self {
        Self { flows: usize::from(flows), reached: BTreeSet::new() }
    }

    /// A flow has shown the end; true exactly once, for the last one.
    pub fn reach(&mut self, flow: FlowId) -> bool {
        self.reached.insert(flow) && self.reached.len() == self.flows
    }

    /// Whether a flow has shown the end.
    pub fn has_reached(&self, flow: FlowId) -> bool {
        self.reached.contains(&flow)
    }
}

/// Lets a flush pass once, when every flow has reached it and all that precedes it is durable (I3, P10).
///
/// A flush is a global transaction, so every flow sees the same flushes in the same order, and a flow that waits sees
/// no later one. Arrivals therefore belong together by position; transaction ids and shard counts are not looked at.
#[derive(Debug, Clone)]
pub struct FlushBarrier {
    flows: usize,
    waiting: BTreeMap<FlowId, (Flush, Position)>,
}

/// Flows that wait for different things: they are out of step with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("flow {flow} has reached {found:?} while the others wait at {expected:?}")]
pub struct Mismatch {
    /// The flow that came last.
    pub flow: FlowId,
    /// What it has reached.
    pub found: Flush,
    /// What the others wait at.
    pub expected: Flush,
}

impl FlushBarrier {
    /// For a session of `flows` flows.
    pub fn new(flows: u16) -> Self {
        Self { flows: usize::from(flows), waiting: BTreeMap::new() }
    }

    /// A flow has reached a flush, and everything before it is durable; `behind` is its position behind the flush. Gives
    /// the flow that carries it out, once the last one is there.
    ///
    /// # Errors
    /// [`Mismatch`].
    pub fn arrive(
        &mut self,
        flow: FlowId,
        flush: Flush,
        behind: Position,
    ) -> Result<Option<FlowId>, Mismatch> {
        let others = self.waiting.values().next().map(|(expected, _)| *expected);
        if let Some(expected) = others.filter(|expected| *expected != flush) {
            return Err(Mismatch { flow, found: flush, expected });
        }
        self.waiting.insert(flow, (flush, behind));
        let executor = self.waiting.keys().next().copied();
        Ok(executor.filter(|_| self.waiting.len() == self.flows))
    }

    /// The positions of all flows behind the flush, which are stored with it.
    pub fn positions(&self) -> BTreeMap<FlowId, Position> {
        self.waiting.iter().map(|(flow, (_, behind))| (*flow, *behind)).collect()
    }

    /// The flush is carried out: gives every flow that waited.
    pub fn release(&mut self) -> impl Iterator<Item = FlowId> + use<> {
        std::mem::take(&mut self.waiting).into_keys()
    }
}

#[cfg(test)]
mod tests {
    use dfly_journal::Lsn;
    use dfly_wire::DbIndex;

    use super::*;

    #[test]
    fn the_cut_is_reached_once() {
        let mut cut = CutBarrier::new(3);
        assert!(!cut.reach(FlowId(2)));
        assert!(!cut.reach(FlowId(2)), "the same flow again is not another flow");
        assert!(!cut.reach(FlowId(0)));
        assert!(cut.reach(FlowId(1)));
        assert!(!cut.reach(FlowId(1)));
    }

    fn at(next: u64) -> Position {
        Position::at(3, Lsn(next))
    }

    #[test]
    fn a_flush_passes_once_for_all_flows() {
        let mut barrier = FlushBarrier::new(2);
        for flush in [Flush::All, Flush::Db(DbIndex(3)), Flush::All] {
            assert_eq!(barrier.arrive(FlowId(1), flush, at(8)), Ok(None));
            assert_eq!(barrier.arrive(FlowId(0), flush, at(5)), Ok(Some(FlowId(0))));
            assert_eq!(barrier.positions(), BTreeMap::from([(FlowId(0), at(5)), (FlowId(1), at(8))]));
            assert_eq!(barrier.release().collect::<Vec<_>>(), [FlowId(0), FlowId(1)]);
        }
    }

    #[test]
    fn flows_out_of_step_are_an_error() {
        let mut barrier = FlushBarrier::new(2);
        barrier.arrive(FlowId(1), Flush::All, at(1)).unwrap();
        assert!(barrier.arrive(FlowId(0), Flush::Db(DbIndex(0)), at(1)).is_err());
    }
}
