//! A connection that breaks again and again over the same commands: something that is sent breaks it. Pure.

use dfly_translate::{CommandFacts, CommandKind};
use redis_resp::EncodedCommand;

use crate::checkpoint::Position;

/// So many breaks in a row are told.
const TOLD: u32 = 3;

/// So many breaks in a row are enough.
const MOST: u32 = 8;

/// Breaks in a row between which the target has come no further.
#[derive(Debug, Default)]
pub(super) struct Breaks {
    /// How many answers there were by the last of them.
    answers: u64,
    in_a_row: u32,
    /// Where the flow stood behind the last of them.
    stood: Option<Position>,
}

/// What to do about a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Break {
    /// It is the first for a while: the connection is opened again at once.
    First,
    /// The connection is opened again after a pause.
    Again,
    /// It is told too.
    Told,
    /// The same commands break it for good.
    Last(u32),
}

/// The largest command with data of the source: it is the first to be suspected.
#[derive(Debug, Default)]
pub(super) struct Largest {
    pub command: String,
    pub bytes: usize,
}

impl Largest {
    /// Of these; empty if there is none.
    pub(super) fn of<'a>(in_flight: impl Iterator<Item = EncodedCommand<'a>>) -> Self {
        let is_of_source = |command: &EncodedCommand<'_>| {
            matches!(CommandFacts::of(*command).kind, CommandKind::Data | CommandKind::Value)
        };
        let largest = in_flight.filter(is_of_source).max_by_key(|command| command.wire().len());
        let named =
            |command: EncodedCommand<'_>| Self { command: command.describe(), bytes: command.wire().len() };
        largest.map_or_else(Self::default, named)
    }
}

impl Breaks {
    /// The connection broke, and there have been so many answers in all.
    pub(super) fn on_break(&mut self, answers: u64) -> Break {
        if std::mem::replace(&mut self.answers, answers) != answers {
            self.in_a_row = 0;
        }
        self.in_a_row += 1;
        match self.in_a_row {
            1 => Break::First,
            TOLD => Break::Told,
            MOST.. => Break::Last(self.in_a_row),
            _ => Break::Again,
        }
    }

    /// The target says where the flow stands: what was sent may have been carried out without an answer.
    pub(super) fn on_position(&mut self, at: Position) {
        if self.stood.replace(at) != Some(at) {
            self.in_a_row = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use dfly_journal::Lsn;

    use super::*;

    /// C21: an answer, or another position, shows that it goes on.
    #[test]
    fn only_breaks_without_progress_count() {
        let mut breaks = Breaks::default();
        let seen: Vec<Break> = (0..9).map(|_| breaks.on_break(5)).collect();
        let (again, told) = (Break::Again, Break::Told);
        let expected =
            [Break::First, again, told, again, again, again, again, Break::Last(8), Break::Last(9)];
        assert_eq!(seen, expected);
        assert_eq!(breaks.on_break(6), Break::First);
        breaks.on_break(6);
        let at = Position::default().then(Lsn(7));
        breaks.on_position(at);
        assert_eq!(breaks.on_break(6), Break::First);
        breaks.on_position(at);
        assert_eq!(breaks.on_break(6), again);
    }
}
