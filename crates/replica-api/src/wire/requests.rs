//! What a running replication is asked for.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::KeyName;

/// The request was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// Always true.
    pub done: bool,
}

/// How fast the run may go. An absent limit is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of the snapshot that are read in a second, over all flows.
    #[serde(default)]
    pub snapshot_bytes_per_second: Option<u64>,
    /// Commands that are sent to the target in a second, over all flows.
    #[serde(default)]
    pub target_ops_per_second: Option<u64>,
}

/// Keys that are to be read again from the source, in step with the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refetch {
    /// The keys.
    pub keys: Vec<KeyName>,
}

/// What became of the keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refetched {
    /// Each key, in no order.
    pub keys: Vec<KeyOutcome>,
}

/// What became of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyOutcome {
    /// The key.
    #[serde(flatten)]
    pub key: KeyName,
    /// What was done.
    pub outcome: Outcome,
    /// Which record it holds every record before, of the key's flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsn: Option<u64>,
}

/// What was done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Its value was written.
    Written,
    /// The source does not have it, and it was removed.
    Removed,
    /// A record has said what becomes of it.
    Superseded,
    /// The source refuses to give it.
    Refused,
}

/// Keys that are compared: from now on it is noted which of them get a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// The keys, 512 at the most.
    pub keys: Vec<KeyName>,
    /// Whether nothing is applied while the source is read, and again while the target is, for a quarter of a second at the most
    /// each time.
    #[serde(default)]
    pub holds: bool,
}

/// The watch that has begun. It ends by itself after five minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Watched {
    /// Its number.
    pub watch: u64,
}

/// The source was read between these positions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settle {
    /// The watch.
    pub watch: u64,
    /// What `DFLY REPLICAOFFSET` answered before the source was read: the next record of each flow.
    pub before: Vec<u64>,
    /// What it answered behind that.
    pub behind: Vec<u64>,
}

/// The target has everything that came before the source was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Settled {
    /// Each key of the watch, in its order.
    pub keys: Vec<State>,
}

/// Whether a key can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The target holds every record of it before this one.
    Stands(u64),
    /// It waits to be refetched.
    Waits,
    /// A record of it came since the source was read.
    Touched,
}

/// The target was read: the watch ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The watch.
    pub watch: u64,
}

/// Which keys may have changed since the source was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Released {
    /// Each key of the watch, in its order.
    pub touched: Vec<bool>,
}
