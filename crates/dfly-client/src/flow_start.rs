//! How a flow starts: what the master answers to `DFLY FLOW` (protocol section 2.1).

/// Whether a flow starts with a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncKind {
    /// With a snapshot.
    Full,
    /// With the journal, from the requested position on.
    Partial,
}

/// The reply of the master to a [`FlowRequest`](crate::FlowRequest).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowStart {
    /// Full or partial.
    pub kind: SyncKind,
    /// The token that the master sends between snapshot and journal.
    pub token: [u8; 40],
}
