//! Facts about a command for the target. The command's tag holds them, so that nothing has to be parsed again.

use dfly_wire::DbIndex;
use redis_resp::EncodedCommand;

use crate::idempotence::is_idempotent;

/// Facts about a command for the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CommandFacts {
    /// The database in which the command is carried out; for SELECT, the one that it selects.
    pub db: DbIndex,
    /// Whether the command only sets what it names (a key, a field, a member, a bit), whatever was there before. If any
    /// part of a sequence of such commands has been carried out, a retry of the whole sequence leaves the same data.
    pub idempotent: bool,
    /// What the command is for.
    pub kind: CommandKind,
    /// Whether it is `SET key value`, so that it may be carried out together with others of its kind in one MSET.
    pub is_plain_set: bool,
    /// The other database of its keys: MOVE names each of them in two.
    pub moves_to: Option<DbIndex>,
}

/// What a command for the target is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CommandKind {
    /// It writes data of the source.
    #[default]
    Data,
    /// It checks whether the target still has a key that may have expired too early.
    ExpiryCheck,
    /// It removes due members and fields of any key ([`Translator::sweep`](crate::Translator::sweep)).
    Sweep,
    /// It writes only to keys of the tool.
    SideKey,
    /// It controls the connection or a transaction: SELECT, WATCH, MULTI, EXEC and similar commands.
    Control,
    /// It writes the whole value of a key of the source, or a part of it.
    Value,
}

/// Bits 0 to 31 hold the database.
const IDEMPOTENT: u64 = 1 << 32;
const KIND_SHIFT: u32 = 33;
const KIND_MASK: u64 = 0b111;
const PLAIN_SET: u64 = 1 << 36;
/// Bits 37 to 63 hold the other database, plus one.
const OTHER_SHIFT: u32 = 37;
/// The highest database that fits there. No server has so many.
const HIGHEST_OTHER: u32 = (1 << 27) - 2;

impl CommandKind {
    const fn bits(self) -> u64 {
        (self as u64) << KIND_SHIFT
    }

    const fn of(tag: u64) -> Self {
        match (tag >> KIND_SHIFT) & KIND_MASK {
            1 => Self::ExpiryCheck,
            2 => Self::Sweep,
            3 => Self::SideKey,
            4 => Self::Control,
            5 => Self::Value,
            _ => Self::Data,
        }
    }
}

impl CommandFacts {
    /// The facts about a command of this kind that must not be carried out twice.
    pub const fn new(kind: CommandKind, db: DbIndex) -> Self {
        Self { db, idempotent: false, kind, is_plain_set: false, moves_to: None }
    }

    /// The same facts, but for a command that moves its keys to this database.
    #[must_use]
    pub const fn moving_to(self, db: DbIndex) -> Self {
        Self { moves_to: if db.0 <= HIGHEST_OTHER { Some(db) } else { None }, ..self }
    }

    /// The facts about a command that writes data and must not be carried out twice.
    pub const fn data(db: DbIndex) -> Self {
        Self::new(CommandKind::Data, db)
    }

    /// The facts about a command that writes a value, or a part of it, and must not be carried out twice.
    pub const fn value(db: DbIndex) -> Self {
        Self::new(CommandKind::Value, db)
    }

    /// The facts about a command that writes to keys of the tool and must not be carried out twice.
    pub const fn side_key(db: DbIndex) -> Self {
        Self::new(CommandKind::SideKey, db)
    }

    /// The same facts, but for a command that may be carried out twice.
    #[must_use]
    pub const fn idempotent(self) -> Self {
        Self { idempotent: true, ..self }
    }

    /// The same facts, but for a plain SET, if `is` holds.
    #[must_use]
    pub const fn plain_set(self, is: bool) -> Self {
        Self { is_plain_set: is, ..self }
    }

    /// The same facts, with [`Self::idempotent`] determined from the words of the command.
    #[must_use]
    pub(crate) fn of_words<'a>(self, words: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self { idempotent: is_idempotent(words), ..self }
    }

    /// The facts as the tag of a command in a [`CommandBatch`](redis_resp::CommandBatch).
    pub const fn tag(self) -> u64 {
        let idempotent = if self.idempotent { IDEMPOTENT } else { 0 };
        let other = match self.moves_to {
            Some(db) => (db.0 as u64 + 1) << OTHER_SHIFT,
            None => 0,
        };
        let plain_set = if self.is_plain_set { PLAIN_SET } else { 0 };
        self.db.0 as u64 | idempotent | self.kind.bits() | plain_set | other
    }

    /// The facts that [`Self::tag`] has packed.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lower half is the database, and 27 bits are the other"
    )]
    pub const fn from_tag(tag: u64) -> Self {
        let moves_to = match (tag >> OTHER_SHIFT) as u32 {
            0 => None,
            other => Some(DbIndex(other - 1)),
        };
        Self {
            db: DbIndex(tag as u32),
            idempotent: tag & IDEMPOTENT != 0,
            kind: CommandKind::of(tag),
            is_plain_set: tag & PLAIN_SET != 0,
            moves_to,
        }
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
            CommandKind::Value,
        ];
        let mut tags = std::collections::BTreeSet::new();
        for kind in kinds {
            for db in [0, 1, 15, u32::MAX] {
                for idempotent in [false, true] {
                    for moves_to in [None, Some(DbIndex(0)), Some(DbIndex(HIGHEST_OTHER))] {
                        for is_plain_set in [false, true] {
                            let db = DbIndex(db);
                            let facts = CommandFacts { db, idempotent, kind, is_plain_set, moves_to };
                            assert_eq!(CommandFacts::from_tag(facts.tag()), facts);
                            tags.insert(facts.tag());
                        }
                    }
                }
            }
        }
        assert_eq!(tags.len(), 288);
        let beyond = CommandFacts::default().moving_to(DbIndex(HIGHEST_OTHER + 1));
        assert_eq!(beyond.moves_to, None);
        assert_eq!(CommandFacts::from_tag(0), CommandFacts::default());
        assert!(!CommandFacts::from_tag(0).idempotent);
    }
}
