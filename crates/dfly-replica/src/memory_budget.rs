//! How the limit of memory is shared out among flows, and what each of them may hold. Pure.

use dfly_rdb::BlobError;
use dfly_wire::FaultKind;

use crate::config::EngineConfig;
use crate::error::FlowError;

/// What one expiry takes that is kept in mind, in bytes.
const EXPIRY: usize = 10;

/// No share is less, in bytes: below that every item would be a batch of its own.
const LEAST: usize = 64 << 10;

impl EngineConfig {
    /// The same settings for a session with this many flows, with sizes that keep all of them within
    /// [`EngineConfig::memory_limit`].
    ///
    /// What a flow reads ahead takes up to twice its size while its buffer grows, what the window holds is held once, a
    /// frame of the relay log up to three times. Together that is a fourth of the flow's share; a sixteenth is for expiries
    /// of keys. An eighth of the whole is for refetched values. A fourth is the largest value that is held whole: once as it
    /// arrives, once as the command that is written.
    pub(crate) fn for_flows(&self, flows: u16) -> Self {
        let share = self.memory_limit / usize::from(flows.max(1));
        let part = |most: usize, divisor: usize| most.min((share / divisor).max(LEAST));
        let mut config = self.clone();
        config.read_ahead = part(self.read_ahead, 16);
        config.window.bytes = part(self.window.bytes, 64);
        config.relay_frame = part(self.relay_frame, 64);
        config.parked = part(self.parked, 64);
        config.expiries = self.expiries.min(share / 16 / EXPIRY);
        config.refetch_memory = self.refetch_memory.min(self.memory_limit / 8);
        config.limits.piece = part(self.limits.piece, 128);
        config.limits.string = self.limits.string.min(self.memory_limit / 4);
        config.limits.blob = self.limits.blob.min(self.memory_limit / 4);
        config
    }
}

/// What a decoder says of a snapshot: a size over a limit is told by the name of the setting.
pub(crate) fn of_snapshot(error: dfly_rdb::Error) -> FlowError {
    match error.kind {
        dfly_rdb::ErrorKind::Malformed(FaultKind::OverLimit { limit, .. }) => {
            FlowError::TooLarge { limit, error: Box::new(error) }
        }
        dfly_rdb::ErrorKind::Blob(BlobError::OverLimit { limit }) => {
            FlowError::TooLarge { limit: limit as u64, error: Box::new(error) }
        }
        _ => error.into(),
    }
}

/// The same for a journal.
pub(crate) fn of_journal(error: dfly_journal::Error) -> FlowError {
    match error.kind {
        dfly_journal::ErrorKind::Malformed(FaultKind::OverLimit { limit, .. }) => {
            FlowError::TooLarge { limit, error: Box::new(error) }
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use redis_resp::connection::{Endpoint, Peer};

    use super::*;

    fn config(memory_limit: usize) -> EngineConfig {
        let endpoint = |peer| Endpoint::new(peer, "h", 1);
        EngineConfig { memory_limit, ..EngineConfig::new(endpoint(Peer::Source), endpoint(Peer::Target)) }
    }

    /// Whatever the number of flows, what they hold at the same time is within the limit.
    #[test]
    fn flows_together_stay_within_the_limit() {
        for (limit, flows) in
            [(256usize << 20, 1u16), (256 << 20, 8), (256 << 20, 64), (64 << 20, 4), (1 << 30, 2)]
        {
            let config = config(limit).for_flows(flows);
            let flow = 2 * config.read_ahead
                + config.window.bytes
                + 3 * config.relay_frame
                + config.parked
                + EXPIRY * config.expiries
                + config.limits.piece;
            let all = usize::from(flows) * flow + config.refetch_memory + 2 * config.limits.string;
            assert!(all <= limit, "{flows} flows take {all} of {limit}");
        }
    }

    #[test]
    fn smaller_settings_stay() {
        let mut small = config(1 << 30);
        (small.read_ahead, small.limits.piece, small.window.bytes) = (1000, 100, 10);
        let config = small.for_flows(1);
        assert_eq!((config.read_ahead, config.limits.piece, config.window.bytes), (1000, 100, 10));
    }
}
