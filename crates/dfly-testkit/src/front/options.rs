//! How a master may be made to behave: pieces, cuts, planted bytes, refusals.

use std::sync::Arc;
use std::time::Duration;

use crate::compare::dumps::Dumps;

/// Options of a recorded or scripted master. The default serves the bytes as they are.
#[derive(Debug, Clone)]
pub struct MasterOptions {
    /// Write flows in pieces of this many bytes, each with its own system call and without Nagle's algorithm.
    pub split: Option<usize>,
    /// Send one record of a flow's journal at a time: the next one follows when the flow's last ACK covers all before it.
    pub paced: bool,
    /// Cut a session at an exact place.
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
    /// The password that is asked for. A recorded master takes the recording's when there is none here.
    pub password: Option<String>,
    /// The user of that password; `default` when there is none.
    pub user: Option<String>,
    /// Recorded masters: serve the same recorded session again to a client that reconnects after a session that
    /// ended early. Without it, a session beyond the recording's last is a violation.
    pub repeat: bool,
    /// What EXISTS, DUMP and PEXPIRETIME answer, as [`dumps`](crate::dumps) gives it. Without it a scripted master answers
    /// with its model, and a recorded one refuses, for values were not recorded so.
    pub values: Option<Arc<Dumps>>,
    /// Commands of ordinary clients that are answered with an error, by name, until the master is released.
    pub refused: Vec<(&'static str, &'static str)>,
    /// How long a session that is not the recording's last stays open for the final ACKs after its last byte.
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
            refused: Vec::new(),
            ack_timeout: Duration::from_secs(10),
        }
    }
}

/// Closes every connection of a session once exactly `offset` bytes of one flow were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The client's session, from 0.
    pub session: usize,
    /// The flow.
    pub flow: usize,
    /// Bytes of the flow's stream (behind the reply to FLOW) that are sent.
    pub offset: usize,
}

/// Replaces bytes of a flow's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mangle {
    /// The client's session, from 0.
    pub session: usize,
    /// The flow.
    pub flow: usize,
    /// Where, in bytes of the stream (behind the reply to FLOW).
    pub offset: usize,
    /// How many bytes are taken out.
    pub remove: usize,
    /// What is put in.
    pub insert: Vec<u8>,
}

/// Holds back the end of what a flow sends before STARTSTABLE, until the test releases it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// The client's session, from 0.
    pub session: usize,
    /// The flow.
    pub flow: usize,
    /// How many bytes at the end of the first part.
    pub bytes: usize,
}

/// What the master pretends to be when it is asked for `capa dragonfly`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capa {
    /// A Dragonfly v1.40: five elements.
    Dragonfly,
    /// A Dragonfly v1.4 to v1.39: four elements.
    FourElements,
    /// A Dragonfly v1.0 to v1.3: three elements, and it answers unknown REPLCONF options.
    Old,
    /// A Redis or Valkey: `+OK`.
    Redis,
    /// A Dragonfly that is a replica itself.
    Replica,
}
