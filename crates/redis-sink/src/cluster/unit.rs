//! What a batch is made of in a cluster: the commands of one slot, as a whole or one by one.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use redis_resp::{CommandBatch, EncodedCommand, EncodedCommands};
use redis_slots::Slot;

/// The commands of one batch that touch one slot.
#[derive(Debug, Clone)]
pub struct Unit {
    pub(super) slot: Slot,
    pub(super) commands: EncodedCommands,
    pub(super) form: Form,
}

/// Where a unit ends in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The slot of all of its commands.
    pub slot: Slot,
    /// How many commands it has.
    pub count: usize,
    /// What a transaction writes, as in [`Unit::transaction`]; `None`: the commands may be carried out again, as in
    /// [`Unit::plain`].
    pub position: Option<u64>,
}

/// How the commands of a unit belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Each by itself, and each may be carried out again.
    Plain,
    /// All or none, and never twice. `position` is what it writes in its slot.
    Transaction { position: u64 },
}

impl Unit {
    /// Commands of `slot` that may be carried out again in their order. Leaves the batch empty.
    pub fn plain(slot: Slot, batch: &mut CommandBatch) -> Self {
        Self { slot, commands: batch.take(), form: Form::Plain }
    }

    /// A transaction in `slot`: the batch's first command is MULTI, its last is EXEC, and one between them writes
    /// `position`, which grows from one transaction of the slot to the next. Leaves the batch empty.
    pub fn transaction(slot: Slot, batch: &mut CommandBatch, position: u64) -> Self {
        Self { slot, commands: batch.take(), form: Form::Transaction { position } }
    }

    /// The batch's commands, cut into units, the first of which begins with the first command. Leaves the batch empty; the
    /// units share its memory.
    pub fn cut<C: IntoIterator<Item = Cut>>(
        batch: &mut CommandBatch,
        cuts: C,
    ) -> impl Iterator<Item = Self> + use<C> {
        let commands = batch.take();
        cuts.into_iter().scan(0, move |first, cut| {
            let part = commands.part(*first, cut.count);
            *first += cut.count;
            let form = cut.position.map_or(Form::Plain, |position| Form::Transaction { position });
            Some(Self { slot: cut.slot, commands: part, form })
        })
    }

    /// The slot that it touches.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Its commands.
    pub fn commands(&self) -> &EncodedCommands {
        &self.commands
    }

    /// Its commands as they go on the wire.
    pub fn wire(&self) -> &Bytes {
        self.commands.wire()
    }
}

/// A command whose place among the commands of its slot was lost: it was refused, and one behind it was carried out, or
/// the other way round. It is not retried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Its slot.
    pub slot: Slot,
    /// The command alone.
    pub(super) command: EncodedCommands,
}

impl Lost {
    /// The command.
    pub fn command(&self) -> EncodedCommand<'_> {
        self.command.command(0).unwrap_or_default()
    }

    /// Its keys.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.command().keys()
    }

    /// Its tag.
    pub fn tag(&self) -> u64 {
        self.command().tag()
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.command().name()
    }

    /// Its name and its first key; never a value.
    pub fn describe(&self) -> String {
        self.command().describe()
    }
}

/// Writes into the batch what the target is to keep about a command that is given up: one that was refused for itself, or
/// whose place in the order of its slot was lost.
///
/// What it writes must be idempotent, and for the command's slot. It is sent before anything that waits in the slot, so no
/// transaction of the slot stores a position behind the command before the target knows that the command was given up.
#[derive(Clone)]
pub struct Memo(Arc<Write>);

type Write = dyn Fn(EncodedCommand<'_>, &mut CommandBatch) + Send + Sync;

impl Memo {
    /// A memo that `write` writes.
    pub fn new(write: impl Fn(EncodedCommand<'_>, &mut CommandBatch) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// What is to be written about all of these.
    pub(super) fn of<'a>(&self, given_up: impl IntoIterator<Item = EncodedCommand<'a>>) -> CommandBatch {
        let mut batch = CommandBatch::default();
        given_up.into_iter().for_each(|command| (self.0)(command, &mut batch));
        batch
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memo")
    }
}
