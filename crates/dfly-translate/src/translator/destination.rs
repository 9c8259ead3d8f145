//! Where commands write to.

use dfly_wire::DbIndex;

use crate::facts::{CommandFacts, CommandKind};

/// The key that commands write to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Destination<'a> {
    pub db: DbIndex,
    pub key: &'a [u8],
    /// The kind of the commands. The key may be one of the tool's keys.
    pub kind: CommandKind,
}

impl<'a> Destination<'a> {
    /// A key of the source, whose value is written.
    pub(crate) fn value(db: DbIndex, key: &'a [u8]) -> Self {
        Self { db, key, kind: CommandKind::Value }
    }

    /// A key of the tool.
    pub(crate) fn side_key(db: DbIndex, key: &'a [u8]) -> Self {
        Self { db, key, kind: CommandKind::SideKey }
    }

    /// The tag of a command that must not be carried out twice.
    pub(crate) fn once(self) -> u64 {
        CommandFacts::new(self.kind, self.db).tag()
    }

    /// The tag of an idempotent command.
    pub(crate) fn idempotent(self) -> u64 {
        CommandFacts::new(self.kind, self.db).idempotent().tag()
    }
}
