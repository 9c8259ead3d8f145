//! How commands of several keys are taken apart, so that a slot that moves accepts them.

use std::fmt;
use std::sync::Arc;

use redis_resp::{CommandBatch, EncodedCommand, EncodedCommands};

/// Takes a command of several keys apart into commands of one key each.
///
/// While a slot moves, some of its keys are at one node and some at the other. Neither accepts a command of keys on both
/// (`TRYAGAIN`) until the whole slot has moved, but commands of one key find theirs (server `cluster.c`, `getNodeByQuery`). So a
/// command that is no part of a transaction is taken apart if it is refused temporarily.
#[derive(Clone)]
pub struct Split(Arc<Write>);

type Write = dyn Fn(EncodedCommand<'_>, &mut CommandBatch) + Send + Sync;

impl Split {
    /// Takes commands apart with `write`, which writes the parts. Together, in their order, they have the effect of the command,
    /// even if each is carried out more than once, and they belong to its slot. A command for which nothing is written stays
    /// whole.
    pub fn new(write: impl Fn(EncodedCommand<'_>, &mut CommandBatch) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// The parts of a command; `None` if it stays whole.
    pub fn of(&self, command: EncodedCommand<'_>) -> Option<EncodedCommands> {
        let mut parts = CommandBatch::default();
        (self.0)(command, &mut parts);
        let is_apart = !parts.is_empty();
        is_apart.then(|| parts.take())
    }
}

impl fmt::Debug for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Split")
    }
}
