//! A flow put together without a session, in front of a target in memory.

#[cfg(feature = "in-memory")]
mod counted;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dfly_client::FlowId;
use dfly_rdb::Family;
use dfly_rdb::payload::TargetFormat;
use dfly_translate::{Form, Rules, Target, Translator};

#[cfg(feature = "in-memory")]
pub use counted::FlowInMemory;

use super::{FlowParts, FlowSettings};
use crate::flow::admission::ttl_index::{TtlIndex, TtlLimits};
use crate::flow::admission::{Admission, EarlyExpiry, OmittedDeletes, Ownership};
use crate::flow::intake::Intake;
use crate::flow::positions::FlowPositions;
use crate::flow::refetch::Refetch;
use crate::flow::writer::FlowWriter;
use crate::rate_limiter::RateLimiter;
use crate::run::counters::Counters;

/// The one flow of a source with one shard.
pub(crate) const FLOW: FlowId = FlowId(0);

/// The parts of the flow that follow from nothing else.
pub(crate) fn parts(intake: Intake, positions: FlowPositions, now: Instant) -> FlowParts {
    let rules = Arc::new(Rules::default());
    let target = Target::plain(TargetFormat { family: Family::Redis, version: (7, 0) });
    let translator = Translator::new(target, Arc::clone(&rules)).with_form(Form::Commands).for_flow(FLOW.0);
    let unlimited = || RateLimiter::new(None, 1, now);
    let limits = TtlLimits { most: 100, span: Duration::from_secs(60) };
    FlowParts {
        id: FLOW,
        rules: Arc::clone(&rules),
        settings: FlowSettings {
            sweep_interval: Duration::from_millis(100),
            ack_interval: Duration::from_millis(100),
            relay_max_bytes: 1 << 30,
            leaves_when_full: false,
            longest_rest: Duration::from_secs(1),
        },
        positions,
        intake,
        admission: Admission {
            omitted: OmittedDeletes::default(),
            unsynced: None,
            expiry: EarlyExpiry::new(TtlIndex::new(limits), 0, Duration::from_secs(10)),
            ownership: Ownership::new(FLOW, 1, None),
        },
        refetch: Refetch::new(200),
        writer: FlowWriter::new(FLOW.0, rules, translator, unlimited()).with_batches_of(64 << 10),
        reading: unlimited(),
        counters: Arc::new(Counters::new(1)),
    }
}
