//! Scripts: operations from which snapshots and journals are generated, and a model of the expected result.
//!
//! A recording cannot cover every case. A script can be written for a specific case, or generated.

mod entry;
mod journal;
mod model;
mod op;
mod pack;
mod rdb;
mod sharding;
mod snapshot;
mod style;

use bytes::Bytes;

use crate::front::PartialForm;

pub(crate) use entry::dump;
pub(crate) use journal::{Lsns, Record, record_of};
pub(crate) use model::keys::slot_of;
pub use model::{Entry, Model, OpError};
pub use op::Op;
pub use sharding::shard_of;
pub(crate) use sharding::{Logged, place};
pub(crate) use snapshot::{Baseline, ShardOp, Snapshot, journal_blob, offset_and_eof};
pub use style::{Blobs, Containers, SnapshotStyle, Strings};

/// What a scripted master holds, and what happens to it while a replica synchronises.
///
/// ```
/// use dfly_testkit::{Op, Script};
///
/// let script = Script::new(2)
///     .before("SET greeting hello")
///     .during("APPEND greeting !")
///     .stable(Op::line("INCR visits").in_db(1));
/// assert_eq!(script.model().len(), 1); // operations run when their time comes
/// ```
#[derive(Debug, Clone)]
pub struct Script {
    /// The number of shards, which is the number of flows.
    pub shards: usize,
    /// How the snapshot is written.
    pub style: SnapshotStyle,
    /// How many records of each shard the backlog holds.
    pub backlog: usize,
    /// How partial synchronisation continues after FLOW.
    pub partial: PartialForm,
    /// An LSN record follows the first record of a stream, and then every `lsn_every` records.
    pub lsn_every: usize,
    pub(crate) model: Model,
    pub(crate) during: Vec<Op>,
    pub(crate) tail: Vec<Op>,
    pub(crate) stable: Vec<Op>,
    pub(crate) refused: Option<(Op, OpError)>,
}

impl Script {
    /// An empty master of `shards` shards (at least one).
    pub fn new(shards: usize) -> Self {
        Self {
            shards: shards.max(1),
            style: SnapshotStyle::default(),
            backlog: 8192,
            partial: PartialForm::default(),
            lsn_every: 8,
            model: Model::default(),
            during: Vec::new(),
            tail: Vec::new(),
            stable: Vec::new(),
            refused: None,
        }
    }

    /// Writes the snapshot in this style.
    #[must_use]
    pub fn style(mut self, style: SnapshotStyle) -> Self {
        self.style = style;
        self
    }

    /// Keeps this many records of each shard in the backlog.
    #[must_use]
    pub fn backlog(mut self, records: usize) -> Self {
        self.backlog = records;
        self
    }

    /// Continues in this way after a PARTIAL reply.
    #[must_use]
    pub fn partial(mut self, form: PartialForm) -> Self {
        self.partial = form;
        self
    }

    /// Stores an entry before the sync: anything that the snapshot can hold, such as a stream with groups.
    #[must_use]
    pub fn plant(mut self, db: u32, key: impl Into<Bytes>, entry: Entry) -> Self {
        self.model.plant(db, key, entry);
        self
    }

    /// Runs an operation before the sync, so that the snapshot holds its result. If the operation is refused, the master
    /// does not start.
    #[must_use]
    pub fn before(mut self, op: impl Into<Op>) -> Self {
        let op = op.into();
        if let (Err(why), None) = (self.model.apply(&op), &self.refused) {
            self.refused = Some((op, why));
        }
        self
    }

    /// Runs an operation during the full sync: a journal blob among the snapshot's entries. The entries of its keys come
    /// before it; other entries come before or after it.
    #[must_use]
    pub fn during(mut self, op: impl Into<Op>) -> Self {
        self.during.push(op.into());
        self
    }

    /// Runs an operation after FULLSYNC_END and before STARTSTABLE: a journal blob in the snapshot's tail.
    #[must_use]
    pub fn tail(mut self, op: impl Into<Op>) -> Self {
        self.tail.push(op.into());
        self
    }

    /// Runs an operation as soon as stable sync begins.
    #[must_use]
    pub fn stable(mut self, op: impl Into<Op>) -> Self {
        self.stable.push(op.into());
        self
    }

    /// What the master holds before the sync.
    pub fn model(&self) -> &Model {
        &self.model
    }
}
