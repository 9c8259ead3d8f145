//! What a flow is put together from.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dfly_client::FlowId;
use dfly_translate::Rules;

use super::FlowCore;
use super::reporting::NodeLooks;
use super::requests::Requests;
use super::unknown::UnknownCommands;
use crate::flow::acknowledgements::Acknowledgements;
use crate::flow::admission::Admission;
use crate::flow::arrivals::Arrivals;
use crate::flow::flush::FlushState;
use crate::flow::intake::Intake;
use crate::flow::intake::relay_level::RelayLevel;
use crate::flow::positions::FlowPositions;
use crate::flow::refetch::Refetch;
use crate::flow::watched_keys::{Batches, WatchedKeys};
use crate::flow::writer::FlowWriter;
use crate::notice::Notice;
use crate::rate_limiter::RateLimiter;
use crate::run::counters::Counters;
use crate::run::throttle::ThrottleClock;

/// Times of one flow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlowSettings {
    /// How often members and fields are removed that are due.
    pub sweep_interval: Duration,
    /// How often positions are acknowledged at the least.
    pub ack_interval: Duration,
    /// The most bytes of the relay log.
    pub relay_max_bytes: u64,
    /// Whether the source is left when the relay log is full, so that it is not held up.
    pub leaves_when_full: bool,
    /// How long the flow rests at the most when nothing happens.
    pub longest_rest: Duration,
}

/// The parts of a flow that its session decides about.
#[derive(Debug)]
pub(crate) struct FlowParts {
    pub id: FlowId,
    pub rules: Arc<Rules>,
    pub settings: FlowSettings,
    pub positions: FlowPositions,
    pub intake: Intake,
    pub admission: Admission,
    pub refetch: Refetch,
    pub writer: FlowWriter,
    pub reading: RateLimiter,
    pub counters: Arc<Counters>,
}

impl FlowCore {
    /// A flow of these parts that begins at `now`.
    pub(crate) fn new(parts: FlowParts, now: Instant) -> Self {
        parts.counters.nodes.end(parts.id);
        let mut core = Self {
            id: parts.id,
            rules: parts.rules,
            settings: parts.settings,
            positions: parts.positions,
            intake: parts.intake,
            admission: parts.admission,
            refetch: parts.refetch,
            writer: parts.writer,
            journal_begins: None,
            flush: FlushState::None,
            is_concluding: false,
            acks: Acknowledgements::new(parts.settings.ack_interval),
            scan: None,
            sweep_at: now,
            reading: parts.reading,
            arrivals: Arrivals::default(),
            committed: VecDeque::new(),
            stall: Notice::default(),
            full_since: None,
            relay_level: RelayLevel::new(parts.settings.relay_max_bytes),
            requests: Requests::default(),
            watched: WatchedKeys::default(),
            batches: Batches::default(),
            gathered_since: None,
            unknown: UnknownCommands::default(),
            throttle: ThrottleClock::new(now),
            node_looks: NodeLooks::new(now),
            refused_values: Default::default(),
            counters: parts.counters,
            actions: VecDeque::new(),
        };
        core.group_adopted(now);
        core
    }
}
