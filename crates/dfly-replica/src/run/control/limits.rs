//! How fast a run may go.

/// How fast a run may go; `None`: as fast as it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimits {
    /// Bytes of the snapshot that are read in a second, over all flows.
    pub snapshot_bytes_per_second: Option<u64>,
    /// Commands that are sent to the target in a second, over all flows.
    pub target_ops_per_second: Option<u64>,
}
