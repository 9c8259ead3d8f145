//! How the nodes of a cluster are reached, and how a flow writes to them.

use std::time::Duration;

use dfly_client::FlowId;
use redis_sink::cluster::{Claim, ClusterOptions, Memo, Pauses};

use crate::config::EngineConfig;
use crate::target::plain_sets;

/// How often the topology is read without a hint.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// How to ask a cluster questions.
pub(crate) fn asking(config: &EngineConfig) -> ClusterOptions {
    ClusterOptions {
        endpoint: config.target.clone(),
        others: config.other_targets.clone(),
        known: config.known_targets.clone(),
        addresses: config.target_addresses.clone(),
        name: config.rules.names.connection(),
        reserved_prefix: config.rules.names.prefix().to_owned(),
        field: String::new(),
        claim: None,
        memo: None,
        split: None,
        pauses: Pauses::default(),
        jitter: Duration::ZERO,
        patience: config.target_timeout,
        look_every: LOOK_EVERY,
    }
}

/// How a flow writes to a cluster that `owner` has claimed.
pub(crate) fn writing(config: &EngineConfig, flow: FlowId, owner: &str, memo: Memo) -> ClusterOptions {
    let claim = Claim {
        key: config.rules.names.checkpoint().to_owned(),
        field: "owner".to_owned(),
        value: owner.to_owned(),
    };
    // Flows do not come all at once: they have 64 places on 64 ms, in an order of no pattern.
    let place = u64::from(flow.0).wrapping_mul(37) % 64;
    ClusterOptions {
        field: field(flow),
        claim: Some(claim),
        memo: Some(memo),
        split: Some(plain_sets::split()),
        jitter: Duration::from_millis(place),
        ..asking(config)
    }
}

/// The field of a flow, in the hash of each slot.
pub(crate) fn field(flow: FlowId) -> String {
    format!("flow:{flow}")
}
