//! Whether every flow of a snapshot goes on. Pure: counts and times in, the flow that stands still out.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dfly_client::FlowId;

/// What was seen of one flow.
#[derive(Debug, Clone, Copy)]
struct Seen {
    bytes: u64,
    /// When the bytes grew last, or something else explained that they did not.
    at: Instant,
}

/// The flows of a snapshot.
#[derive(Debug, Default)]
pub(crate) struct SnapshotProgress(BTreeMap<FlowId, Seen>);

/// What a flow shows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlowState {
    /// Bytes that were received.
    pub bytes: u64,
    /// The flow may rest: it has shown the end of its snapshot, or waits for the target.
    pub may_rest: bool,
}

impl SnapshotProgress {
    /// Looks at a flow. True if the source has sent nothing for `limit` that the flow would have taken.
    pub(crate) fn stands_still(
        &mut self,
        flow: FlowId,
        state: FlowState,
        limit: Duration,
        now: Instant,
    ) -> bool {
        let FlowState { bytes, may_rest } = state;
        let seen = self.0.entry(flow).or_insert(Seen { bytes, at: now });
        if may_rest || seen.bytes != bytes {
            *seen = Seen { bytes, at: now };
        }
        now.saturating_duration_since(seen.at) >= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C3: a flow that is silent before the end of its snapshot.
    #[test]
    fn only_a_flow_that_waits_for_the_source_stands_still() {
        let (mut progress, start) = (SnapshotProgress::default(), Instant::now());
        let limit = Duration::from_secs(60);
        let mut look = |bytes, may_rest, second| {
            let state = FlowState { bytes, may_rest };
            progress.stands_still(FlowId(0), state, limit, start + Duration::from_secs(second))
        };
        assert!(!look(10, false, 0) && !look(10, false, 59));
        assert!(!look(11, false, 60), "it goes on");
        assert!(!look(11, true, 200), "it waits for the target");
        assert!(!look(11, false, 259) && look(11, false, 260));
    }
}
