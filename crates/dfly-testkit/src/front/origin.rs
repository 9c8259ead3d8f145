//! The source of a master's flows.

use std::collections::BTreeMap;

use crate::journal_walk::Mark;

/// The source of every flow's bytes.
pub(crate) trait Origin: Send + 'static {
    /// The identity that the master reports.
    fn identity(&self) -> Identity;
    /// A client asks for its `session`-th session (from 0). `complete`: whether its previous session ended completely.
    fn open(&mut self, session: usize, complete: bool) -> Result<(), Refusal>;
    /// A client asks for a flow.
    fn flow(&mut self, ask: &FlowAsk) -> Result<FlowGrant, Refusal>;
    /// What a flow carries from SYNC on. `None` if it is no longer available, which ends the session.
    fn first(&mut self, session: usize, flow: usize) -> Option<FirstPart>;
    /// What a flow carries from STARTSTABLE on. `None` as for [`Self::first`].
    fn second(&mut self, session: usize, flow: usize) -> Option<SecondPart>;
    /// The LSN of the next record, by shard.
    fn lsns(&self) -> Vec<u64>;
    /// How many keys each database holds; `None` if that is not known.
    fn key_counts(&self) -> Option<BTreeMap<u32, usize>> {
        None
    }
    /// The keys of a database, in their order; `None` if they are not known.
    fn keys(&self, db: u32) -> Option<Vec<Vec<u8>>> {
        let _db = db;
        None
    }
    /// What a client reads under a key: its DUMP payload and its expiry in Unix milliseconds, -1 for none.
    ///
    /// # Errors
    /// The error reply, without `-` and line end, if values cannot be read.
    fn read(&self, db: u32, key: &[u8]) -> Result<Option<(Vec<u8>, i64)>, &'static str>;
    /// Whether the session is followed by another one, so that the master ends it when it is complete.
    fn ends_by_itself(&self, session: usize) -> bool;
}

/// The identity that a master reports.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) repl_id: String,
    pub(crate) lineage_id: String,
    pub(crate) version: u32,
    pub(crate) shards: usize,
    /// Such as `df-v1.40.1`.
    pub(crate) release: String,
    pub(crate) partial_form: PartialForm,
}

/// How partial synchronisation continues after FLOW (protocol section 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PartialForm {
    /// SYNC, then journal blobs in a snapshot stream, then STARTSTABLE (up to v1.34).
    Sync,
    /// STARTSTABLE immediately (v1.35 and later).
    #[default]
    StartStable,
}

/// A request for a flow.
#[derive(Debug, Clone)]
pub(crate) struct FlowAsk {
    /// The client's session, from 0.
    pub(crate) session: usize,
    pub(crate) flow: usize,
    /// The LSN from which the client wants to continue.
    pub(crate) lsn: Option<u64>,
    /// The master that the client followed before, and an LSN for each of its shards.
    pub(crate) last_master: Option<(String, Vec<u64>)>,
}

/// The reply to a request for a flow.
#[derive(Debug, Clone)]
pub(crate) struct FlowGrant {
    pub(crate) partial: bool,
    /// 40 characters.
    pub(crate) token: String,
}

/// Why a request is refused, and whether it violates the protocol.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// The error reply, without `-` and line end.
    pub(crate) reply: &'static str,
    pub(crate) violation: Option<String>,
}

/// The stream from SYNC to STARTSTABLE.
#[derive(Debug, Clone, Default)]
pub(crate) struct FirstPart {
    pub(crate) bytes: Vec<u8>,
    /// Where FULLSYNC_END (or the blob that holds it) ends.
    pub(crate) fullsync_end: usize,
}

/// The stream from STARTSTABLE on.
#[derive(Debug, Clone, Default)]
pub(crate) struct SecondPart {
    pub(crate) bytes: Vec<u8>,
    /// Where the token ends and the journal begins.
    pub(crate) token_end: usize,
    /// The LSN of the journal's first record.
    pub(crate) start_lsn: u64,
    /// The ends of the records that advance the LSN, in bytes of this part.
    pub(crate) marks: Vec<Mark>,
}
