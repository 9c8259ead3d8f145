//! What is known of a command for the target. It goes with the command as its tag, so that nothing is parsed again.

use dfly_wire::DbIndex;
use redis_resp::EncodedCommand;

use crate::idempotence::is_idempotent;

/// What a command for the target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CommandFacts {
    /// The database in which the command is carried out; for SELECT the one that it selects.
    pub db: DbIndex,
    /// Whether the command only sets what it names (a key, a field, a member, a bit), whatever was there. A sequence of
    /// such commands that is retried from its start after any part of it was carried out leaves the same data.
    pub idempotent: bool,
    /// What it is for.
    pub kind: CommandKind,
}

/// What a command for the target is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CommandKind {
    /// It writes data of the source.
    #[default]
    Data,
    /// It checks whether the target still has a key that may have expired too early.
    ExpiryCheck,
    /// It removes members and fields that are due, of any key ([`Translator::sweep`](crate::Translator::sweep)).
    Sweep,
    /// It writes to keys of the tool alone.
    SideKey,
    /// It is about the connection or a transaction: SELECT, WATCH, MULTI, EXEC and their like.
    Control,
}

/// Bits 0 to 31 hold the database.
const IDEMPOTENT: u64 = 1 << 32;
const KIND_SHIFT: u32 = 33;

impl CommandKind {
    const fn bits(self) -> u64 {
        (self as u64) << KIND_SHIFT
    }

    const fn of(tag: u64) -> Self {
        match tag >> KIND_SHIFT {
            1 => Self::ExpiryCheck,
            2 => Self::Sweep,
            3 => Self::SideKey,
            4 => Self::Control,
            _ => Self::Data,
        }
    }
}

impl CommandFacts {
    /// A command of this kind that must not be carried out twice.
    pub const fn new(kind: CommandKind, db: DbIndex) -> Self {
        Self { db, idempotent: false, kind }
    }

    /// A command that writes data and must not be carried out twice.
    pub const fn data(db: DbIndex) -> Self {
        Self::new(CommandKind::Data, db)
    }

    /// A command that writes to keys of the tool and must not be carried out twice.
    pub const fn side_key(db: DbIndex) -> Self {
        Self::new(CommandKind::SideKey, db)
    }

    /// The same of a command that may be carried out twice.
    #[must_use]
    pub const fn idempotent(self) -> Self {
        Self { idempotent: true, ..self }
    }

    /// The same, with [`Self::idempotent`] as the words of the command tell.
    #[must_use]
    pub(crate) fn of_words<'a>(self, words: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self { idempotent: is_idempotent(words), ..self }
    }

    /// The facts as the tag of a command in a [`CommandBatch`](redis_resp::CommandBatch).
    pub const fn tag(self) -> u64 {
        let idempotent = if self.idempotent { IDEMPOTENT } else { 0 };
        self.db.0 as u64 | idempotent | self.kind.bits()
    }

    /// The facts that [`Self::tag`] has packed.
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is the database")]
    pub const fn from_tag(tag: u64) -> Self {
        Self { db: DbIndex(tag as u32), idempotent: tag & IDEMPOTENT != 0, kind: CommandKind::of(tag) }
    }

    /// The facts of an encoded command.
    pub fn of(command: EncodedCommand<'_>) -> Self {
        Self::from_tag(command.tag())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_read_back() {
        let kinds = [
            CommandKind::Data,
            CommandKind::ExpiryCheck,
            CommandKind::Sweep,
            CommandKind::SideKey,
            CommandKind::Control,
        ];
        let mut tags = std::collections::BTreeSet::new();
        for kind in kinds {
            for db in [0, 1, 15, u32::MAX] {
                for idempotent in [false, true] {
                    let facts = CommandFacts { db: DbIndex(db), idempotent, kind };
                    assert_eq!(CommandFacts::from_tag(facts.tag()), facts);
                    tags.insert(facts.tag());
                }
            }
        }
        assert_eq!(tags.len(), 40);
        assert_eq!(CommandFacts::from_tag(0), CommandFacts::default());
        assert!(!CommandFacts::from_tag(0).idempotent);
    }
}
