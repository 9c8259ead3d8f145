//! The servers of the target.

use dfly_replica::{NodeLink, NodeReport};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::times::millis;

/// A server of the target: the single one, or a node of the cluster. Counts are over all sessions of the run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TargetNode {
    /// Where it is.
    pub address: String,
    /// Commands that it has carried out.
    pub done: u64,
    /// Commands that it has refused.
    pub refused: u64,
    /// Commands that it has sent to another node, because their slot has moved or moves.
    pub redirected: u64,
    /// Commands that it did not take for now, and that were sent again.
    pub later: u64,
    /// Commands that it was sent and has not answered.
    pub in_flight: u64,
    /// How long it has owed an answer and given none, in milliseconds; absent if it owes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<u64>,
    /// Whether a flow needs a connection to it and has none.
    pub is_away: bool,
}

impl From<&NodeReport> for TargetNode {
    fn from(node: &NodeReport) -> Self {
        Self {
            address: node.address.clone(),
            done: node.tally.done(),
            refused: node.tally.refused,
            redirected: node.tally.moved + node.tally.ask,
            later: node.tally.later,
            in_flight: node.in_flight,
            unanswered: node.unanswered.map(millis),
            is_away: node.link == NodeLink::Away,
        }
    }
}
