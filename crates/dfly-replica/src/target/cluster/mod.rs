//! A cluster as the target: what differs from a single server (docs/cluster.md has the argument).
//!
//! A batch becomes units, one for each slot ([`units`]); a slot holds the position of its last transaction, so that a flow
//! that resumes passes over what the slot has ([`passed`]); the flow's own position is stored by itself, once replicas have what
//! it stands behind ([`confirm`]), so that a primary that lost some of that is found out ([`witness`]); a flush is a command for every primary ([`flush`]); and behind an
//! orderly end nothing is there that the positions do not tell of ([`drained`]).

pub(crate) mod confirm;
pub(crate) mod drained;
pub(crate) mod flush;
pub(crate) mod passed;
pub(crate) mod units;
pub(crate) mod witness;

use std::time::Duration;

use dfly_client::FlowId;
use redis_sink::cluster::{Claim, ClusterOptions, Memo, Pauses};

use crate::checkpoint::KEY;
use crate::config::EngineConfig;

/// How often the topology is read without a hint.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// How to ask a cluster questions.
pub(crate) fn options(config: &EngineConfig) -> ClusterOptions {
    ClusterOptions {
        endpoint: config.target.clone(),
        name: config.rules.names.connection(),
        reserved_prefix: config.rules.names.prefix().to_owned(),
        field: String::new(),
        claim: None,
        memo: None,
        pauses: Pauses::default(),
        jitter: Duration::ZERO,
        patience: config.target_timeout,
        look_every: LOOK_EVERY,
    }
}

/// How a flow writes to a cluster that `owner` has claimed.
pub(crate) fn writing(config: &EngineConfig, (flow, owner): (FlowId, &str), memo: Memo) -> ClusterOptions {
    let claim = Claim { key: KEY.to_owned(), field: "owner".to_owned(), value: owner.to_owned() };
    // Flows do not come all at once: they have 64 places on 64 ms, in an order of no pattern.
    let place = u64::from(flow.0).wrapping_mul(37) % 64;
    ClusterOptions {
        field: field(flow),
        claim: Some(claim),
        memo: Some(memo),
        jitter: Duration::from_millis(place),
        ..options(config)
    }
}

/// The field of a flow, in the hash of each slot.
pub(crate) fn field(flow: FlowId) -> String {
    format!("flow:{flow}")
}
