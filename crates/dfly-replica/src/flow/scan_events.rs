//! What scans of the whole target tell a flow, beside its records. While the flow waits at a flush they wait too: what they
//! bring may begin a transaction.

use dfly_journal::Lsn;
use dfly_wire::UnixMillis;

use crate::checkpoint::Position;
use crate::flow::admission::ttl_index::KeyDigest;
use crate::keys::SourceKey;

/// What was found.
#[derive(Debug)]
pub(crate) enum ScanEvent {
    /// The source may not have these keys of the flow any more.
    Extra(Vec<SourceKey>),
    /// Every key of the target was looked for at the source; the flow's LSN there at that time. Records before it may still
    /// meet a value that the source did not have: it had made the key anew since.
    AllLookedFor(Lsn),
    /// Keys of the flow that expire on the target, and when.
    Expiries(Vec<(KeyDigest, UnixMillis)>),
    /// Those were all; the flow's LSN on the source at that time.
    AllExpiries(Lsn),
}

/// What becomes of the end of a scan for extra keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScanEnd {
    /// The flow has not come so far.
    From(Lsn),
    /// The target has not carried out the transaction that ends here.
    Behind(Position),
    /// It has, and what it refused of it is noted with this transaction, which the target has not carried out.
    Noted(u64),
}
