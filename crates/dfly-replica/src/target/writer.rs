//! The one seam between a flow and its target. What differs between a single server and a cluster is behind it: a flow
//! commits batches, and hears what became of them.

use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use dfly_journal::Lsn;
use dfly_translate::{Emptied, Flush};
use redis_resp::{CommandBatch, EncodedCommand};
use redis_sink::Refusal;
use redis_slots::Slot;

use crate::checkpoint::{Checkpoint, Position, SyncMetadata};
use crate::error::FlowError;
use crate::keys::TargetKey;
use crate::run::nodes::NodeSeen;
use crate::source::sharding::Sharding;

/// What a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BatchTag {
    /// A part of the snapshot. It has no position.
    Baseline,
    /// The end of the snapshot, with the flow's first position.
    Entry(Position),
    /// Records of the journal, and the position behind them.
    Journal(Position),
}

impl BatchTag {
    /// The position behind the batch, if it has one.
    pub(crate) fn position(self) -> Option<Position> {
        match self {
            Self::Baseline => None,
            Self::Entry(at) | Self::Journal(at) => Some(at),
        }
    }
}

/// Whether the target has had a record already, as the places where its keys lie tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// No place of its keys has it.
    No,
    /// All of them have.
    Yes,
    /// Some have.
    Partly,
}

/// A flush that is to be carried out for all flows.
#[derive(Debug)]
pub(crate) struct FlushPlan {
    /// What the source has flushed.
    pub flush: Flush,
    /// What has to be emptied for that.
    pub emptied: Emptied,
    /// The flow's own position behind the flush.
    pub at: Position,
    /// The positions of all flows behind the flush. They are stored with it.
    pub checkpoint: Checkpoint,
    /// What is stored beside the positions.
    pub metadata: SyncMetadata,
}

/// How large a batch grows before it is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchLimits {
    /// Commands.
    pub commands: usize,
    /// Bytes of commands.
    pub bytes: usize,
}

/// What became of what a flow has committed.
#[derive(Debug)]
pub(crate) enum TargetEvent {
    /// The oldest batch was carried out, but for what was told before.
    Carried,
    /// Everything up to this position was carried out, and the target holds the position itself.
    Durable(Position),
    /// A command was refused, and the others of its batch stand. It is told before its batch counts as carried out.
    Refused(Box<Refusal>),
    /// Commands on these keys were carried out in another order than they were committed, or perhaps twice, or what was refused
    /// of them was never heard.
    Reordered(Vec<TargetKey>),
    /// The target does not take anything for now; why, in words.
    Stalled(String),
    /// It does again.
    Resumed,
    /// The flush is carried out and stored.
    Flushed,
    /// The target is gone, or does not hold what it held: another session can find out what is there.
    Lost(FlowError),
    /// Nothing but a person can mend it.
    Failed(FlowError),
}

/// Writes one flow's batches to a target.
///
/// Batches are carried out in the order in which they are committed, as far as they name the same key. Nothing moves but
/// in [`Self::poll_progress`]. Everything else returns at once.
pub(crate) trait TargetWriter: Send {
    /// Whether another batch may be committed.
    fn has_room(&self) -> bool;

    /// Whether the target has so much to do that nothing is gained by going on at once.
    fn has_plenty(&self) -> bool;

    /// Whether the target can do without [`Self::poll_progress`] for a moment. If so, it wakes nobody until then.
    fn rest(&mut self) -> bool {
        false
    }

    /// How large a batch may grow while the target has so much to do that a larger one costs it less; `None` while it has not,
    /// and where size makes no difference.
    fn gathers(&self) -> Option<BatchLimits>;

    /// Whether everything that was committed was carried out.
    fn is_idle(&self) -> bool;

    /// Whether, besides, the target holds the position of everything that was carried out.
    fn is_settled(&self) -> bool;

    /// Takes the commands of a batch, and leaves it empty. Data and position are carried out together or not at all.
    fn commit(&mut self, batch: &mut CommandBatch, tag: BatchTag, now: Instant);

    /// Whether any record from `lsn` on may be held already.
    fn may_hold(&self, lsn: Lsn) -> bool;

    /// Whether the record `lsn` is held already where its keys lie.
    fn holds(&self, lsn: Lsn, keys: &mut dyn Iterator<Item = TargetKey>) -> Held;

    /// Where the tool's own keys beside this key lie: in its slot, or (`None`) once for the whole database.
    fn home(&self, key: &[u8]) -> Option<Slot>;

    /// Gives every command that was committed and not carried out to `visit`; those of a key in their order. While a refusal
    /// is told, everything behind it is among them, carried out or not.
    fn for_each_in_flight(&self, visit: &mut dyn FnMut(EncodedCommand<'_>));

    /// The servers that were written to, each with what became of the commands. For reports; it costs time. `waits_since` is
    /// when the oldest batch in flight was committed.
    fn nodes(&self, waits_since: Option<Instant>) -> Vec<NodeSeen>;

    /// How the source spreads its keys: it is stored with the next position.
    fn learn_sharding(&mut self, sharding: Sharding);

    /// The flow waits at a flush. Another flow may store this position for it.
    fn await_flush(&mut self, at: Position);

    /// Begins to carry out a flush. Nothing is in flight, and nothing is committed before [`TargetEvent::Flushed`].
    fn flush(&mut self, plan: FlushPlan, now: Instant);

    /// A flush is carried out, by this writer or by another, and stored with the flow's position `at`.
    fn pass_flush(&mut self, at: Position);

    /// Stores the position of what was carried out at once, if it is not stored yet.
    fn checkpoint_now(&mut self, now: Instant);

    /// Nothing more is committed. What the next session may rely on is noted.
    fn finish(&mut self, now: Instant);

    /// When something is due without an event.
    fn deadline(&self, now: Instant) -> Option<Instant>;

    /// A deadline may have passed: does what is due.
    fn on_deadline(&mut self, now: Instant);

    /// Moves bytes. Ready when something moved; pending, and woken when something may, otherwise. Safe to cancel.
    fn poll_progress(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<()>;

    /// What has happened, the oldest first. What is wrong with a batch is told before it counts as carried out.
    fn next_event(&mut self, now: Instant) -> Option<TargetEvent>;
}

/// Sets of the target, with members that a flush takes along although they are to last.
pub(crate) type Lasting = Vec<(Bytes, Vec<Bytes>)>;
