//! What the flows say of the nodes of the target. They say it now and then, and not with every command.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dfly_client::FlowId;
use redis_sink::Tally;

/// A node of the target; of a single server there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeReport {
    /// Where it is.
    pub address: String,
    /// What became of the commands that it has answered, over all flows and sessions.
    pub tally: Tally,
    /// Commands that it was sent and has not answered.
    pub in_flight: u64,
    /// How long it has owed an answer and given none; `None` if it owes none.
    pub unanswered: Option<Duration>,
    /// The connections to it.
    pub link: NodeLink,
}

/// The connections to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum NodeLink {
    /// None is needed.
    #[default]
    Unneeded,
    /// Those that are needed are open.
    Open,
    /// A flow needs one and has none.
    Away,
}

/// What one flow says of a node.
#[derive(Debug, Clone)]
pub(crate) struct NodeSeen {
    pub address: String,
    /// Since this flow's writer began.
    pub tally: Tally,
    pub in_flight: usize,
    /// Since when the node has owed an answer and given none.
    pub waits_since: Option<Instant>,
    pub link: NodeLink,
}

/// What all flows have said.
#[derive(Debug, Default)]
pub(crate) struct NodeCounters(Mutex<BTreeMap<String, OneNode>>);

#[derive(Debug, Default)]
struct OneNode {
    /// What writers have counted that are gone.
    ended: Tally,
    flows: BTreeMap<FlowId, NodeSeen>,
}

impl NodeCounters {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, OneNode>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A flow says what it sees.
    pub(crate) fn see(&self, flow: FlowId, seen: Vec<NodeSeen>) {
        let mut nodes = self.lock();
        for node in seen {
            nodes.entry(node.address.clone()).or_default().flows.insert(flow, node);
        }
    }

    /// The flow's writer is gone. Another one counts anew.
    pub(crate) fn end(&self, flow: FlowId) {
        for node in self.lock().values_mut() {
            if let Some(seen) = node.flows.remove(&flow) {
                node.ended += seen.tally;
            }
        }
    }

    pub(crate) fn report(&self, now: Instant) -> Vec<NodeReport> {
        self.lock().iter().map(|(address, node)| node.report(address, now)).collect()
    }
}

impl OneNode {
    fn report(&self, address: &str, now: Instant) -> NodeReport {
        let mut tally = self.ended;
        self.flows.values().for_each(|seen| tally += seen.tally);
        let oldest = self.flows.values().filter_map(|seen| seen.waits_since).min();
        NodeReport {
            address: address.to_owned(),
            tally,
            in_flight: self.flows.values().map(|seen| seen.in_flight as u64).sum(),
            unanswered: oldest.map(|since| now.saturating_duration_since(since)),
            link: self.flows.values().map(|seen| seen.link).max().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_are_added_up_and_counts_outlast_their_writers() {
        let (counters, start) = (NodeCounters::default(), Instant::now());
        let seen = |answered, link| NodeSeen {
            address: "a:1".to_owned(),
            tally: Tally { answered, ..Tally::default() },
            in_flight: 2,
            waits_since: Some(start),
            link,
        };
        counters.see(FlowId(0), vec![seen(10, NodeLink::Open)]);
        counters.see(FlowId(1), vec![seen(5, NodeLink::Away)]);
        counters.see(FlowId(0), vec![seen(12, NodeLink::Open)]);
        let report = counters.report(start + Duration::from_secs(3)).remove(0);
        assert_eq!((report.tally.answered, report.in_flight, report.link), (17, 4, NodeLink::Away));
        assert_eq!(report.unanswered, Some(Duration::from_secs(3)));
        counters.end(FlowId(1));
        let report = counters.report(start).remove(0);
        assert_eq!((report.tally.answered, report.in_flight, report.link), (17, 2, NodeLink::Open));
    }
}
