//! The parts of a batch in a cluster: each has the commands of one slot, as a transaction or one by one.

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
    /// The position that a transaction writes, as in [`Unit::transaction`]. `None` if the commands may be carried out more
    /// than once, as in [`Unit::plain`].
    pub position: Option<u64>,
}

/// How the commands of a unit are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Each on its own, and each may be carried out more than once.
    Plain,
    /// All or none, and never twice. `position` is the position that it writes in its slot.
    Transaction { position: u64 },
}

impl Unit {
    /// Commands of `slot` that may be carried out more than once, in order. Leaves the batch empty.
    pub fn plain(slot: Slot, batch: &mut CommandBatch) -> Self {
        Self { slot, commands: batch.take(), form: Form::Plain }
    }

    /// A transaction in `slot`: the batch's first command is MULTI, its last is EXEC, and one between them writes
    /// `position`, which grows from one transaction of the slot to the next. Leaves the batch empty.
    pub fn transaction(slot: Slot, batch: &mut CommandBatch, position: u64) -> Self {
        Self { slot, commands: batch.take(), form: Form::Transaction { position } }
    }

    /// Cuts the batch's commands into consecutive units, starting at the first command. Leaves the batch empty; the units
    /// share its memory.
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

    /// Its commands as they are sent.
    pub fn wire(&self) -> &Bytes {
        self.commands.wire()
    }
}

/// A command whose place in the order of its slot was lost: it was refused and a later command was carried out, or an
/// earlier command was refused and this one was or may have been carried out. It is not retried.
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

/// Writes commands that store a note about a command that is given up: one that was refused permanently, or whose place in
/// the order of its slot was lost.
///
/// What it writes must be idempotent and must belong to the command's slot. It is sent before anything that waits in the
/// slot. So no transaction of the slot stores a position after the command before the target has the note.
#[derive(Clone)]
pub struct Memo(Arc<Write>);

type Write = dyn Fn(EncodedCommand<'_>, &mut CommandBatch) + Send + Sync;

impl Memo {
    /// A memo that uses `write`.
    pub fn new(write: impl Fn(EncodedCommand<'_>, &mut CommandBatch) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// The notes about all of these commands.
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
