//! Options for how a master behaves: pieces, cuts, changed bytes, refusals.

use std::sync::Arc;
use std::time::Duration;

use crate::compare::dumps::Dumps;

/// Options of a recorded or scripted master. With the defaults, it serves the bytes unchanged.
#[derive(Debug, Clone)]
pub struct MasterOptions {
    /// Write flows in pieces of this many bytes, each with its own system call. Nagle's algorithm is off.
    pub split: Option<usize>,
    /// Send one record of a flow's journal at a time. The next record follows when the flow's last ACK covers all before
    /// it.
    pub paced: bool,
    /// Cut a session after an exact byte.
    pub cut: Option<Cut>,
    /// Change bytes of a flow.
    pub mangle: Option<Mangle>,
    /// Hold back the end of a flow's first part.
    pub hold: Option<Hold>,
    /// How `REPLCONF capa dragonfly` is answered.
    pub capa: Capa,
    /// The release that `INFO` names, such as `df-v1.21.4`, instead of the origin's own.
    pub release: Option<String>,
    /// Answer `DFLY FLOW` with `-LOADING`, as a master that still loads its data set does.
    pub loading: bool,
    /// The password that clients must give. If there is none here, a recorded master uses the recording's.
    pub password: Option<String>,
    /// The user of that password; `default` if there is none.
    pub user: Option<String>,
    /// Recorded masters only: serve the same recorded session again to a client that reconnects after a session that ended
    /// early. Otherwise, a session after the last recorded one is a violation.
    pub repeat: bool,
    /// The data for replies to EXISTS, DUMP, PEXPIRETIME and PTTL, as [`dumps`](crate::dumps) returns it. Without it, a scripted
    /// master uses its model, and a recorded master refuses, because a recording has no DUMP payloads.
    pub values: Option<Arc<Dumps>>,
    /// What `TIME` answers. Without it, `TIME` is refused.
    pub clock: Option<fn() -> Duration>,
    /// Commands that are refused, each with its error reply, until the master is released: by name, or by name and first
    /// argument (`DFLY SYNC`). Flows that are open take no commands.
    pub refused: Vec<(&'static str, &'static str)>,
    /// How long a session other than the recording's last one stays open for the final ACKs after its last byte.
    pub ack_timeout: Duration,
}

impl Default for MasterOptions {
    fn default() -> Self {
        Self {
            split: None,
            paced: false,
            cut: None,
            mangle: None,
            hold: None,
            capa: Capa::Dragonfly,
            release: None,
            loading: false,
            password: None,
            user: None,
            repeat: false,
            values: None,
            clock: None,
            refused: Vec::new(),
            ack_timeout: Duration::from_secs(10),
        }
    }
}

/// Closes every connection of a session once exactly `offset` bytes of one flow have been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The client's session, from 0.
    pub session: usize,
    /// The flow.
    pub flow: usize,
    /// How many bytes of the flow's stream (after the reply to FLOW) are sent.
    pub offset: usize,
}

/// Replaces bytes of a flow's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mangle {
    /// The client's session, from 0.
    pub session: usize,
    /// The flow.
    pub flow: usize,
    /// Where, in bytes of the stream (after the reply to FLOW).
    pub offset: usize,
    /// How many bytes are removed.
    pub remove: usize,
    /// The bytes that are inserted.
    pub insert: Vec<u8>,
}

/// Holds back the end of what a flow sends before STARTSTABLE, until the test releases it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// The client's session, from 0.
    pub session: usize,
    /// The flow.
    pub flow: usize,
    /// How many bytes at the end of the first part are held back.
    pub bytes: usize,
}

/// What the master claims to be in its reply to `capa dragonfly`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capa {
    /// A Dragonfly v1.40: five elements.
    Dragonfly,
    /// A Dragonfly v1.4 to v1.39: four elements.
    FourElements,
    /// A Dragonfly v1.0 to v1.3: three elements, and it accepts unknown REPLCONF options.
    Old,
    /// A Redis or Valkey: `+OK`.
    Redis,
    /// A Dragonfly that is itself a replica.
    Replica,
}
