//! Commands of a slot that are sent together, and the replies to them.

use redis_resp::{CommandBatch, EncodedCommands, ErrorCode, Outcome, ServerError};

use crate::cluster::map::NodeId;
use crate::cluster::split::Split;
use crate::cluster::unit::Form;
use crate::cluster::verdict::{Verdict, reason};
use crate::refusal::Refusal;
use crate::window::WindowError;

/// Where a piece goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To the owner of the slot.
    Owner,
    /// To another node, after ASKING.
    Ask(NodeId),
}

/// A unit, or the part of one that is resent after a refusal.
#[derive(Debug)]
pub(super) struct Piece {
    pub commands: EncodedCommands,
    pub form: Form,
    /// The number of its batch.
    pub batch: usize,
    pub way: Way,
    /// How many commands have their reply.
    answered: usize,
    /// Boxed, because nothing of most pieces is refused.
    refused: Option<Box<Refused>>,
}

/// What was refused of a piece.
#[derive(Debug, Default)]
struct Refused {
    /// The index and fate of each refused command, in ascending order. A transaction is refused at index 0.
    fates: Vec<(usize, Fate)>,
    /// The first command of a transaction that was refused when it was queued.
    unqueued: Option<(usize, ServerError)>,
}

/// What happened to a command that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Carried out.
    Done,
    /// Refused, and reported to the caller.
    Dropped,
    /// Refused temporarily, and resent this way.
    Again(Way),
    /// There is no reply, and there will be none.
    Unknown,
}

/// What a reply means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing needs to be done about it.
    Taken,
    /// These commands are refused permanently.
    Dropped(Vec<Refusal>),
    /// The command at this index, or the whole transaction, is refused temporarily and must be resent.
    Passing(usize, ServerError),
}

impl Piece {
    pub(super) fn new(commands: EncodedCommands, form: Form, batch: usize, way: Way) -> Self {
        Self { commands, form, batch, way, answered: 0, refused: None }
    }

    /// A piece with the commands of `batch`, if there are any. Each of them may be carried out more than once.
    pub(super) fn plain(batch: &mut CommandBatch, number: usize) -> Option<Self> {
        let is_any = !batch.is_empty();
        is_any.then(|| Self::new(batch.take(), Form::Plain, number, Way::Owner))
    }

    /// Takes the next reply, which belongs to the oldest command without one.
    pub(super) fn on_outcome(&mut self, outcome: Outcome) -> Result<Answer, WindowError> {
        let place = self.answered;
        self.answered += 1;
        if self.is_transaction() {
            self.on_transaction(place, outcome)
        } else {
            self.on_plain(place, outcome)
        }
    }

    fn on_plain(&mut self, place: usize, outcome: Outcome) -> Result<Answer, WindowError> {
        let error = match outcome {
            Outcome::Done | Outcome::NullArray => None,
            Outcome::Refused(error) => Some(error),
            Outcome::RefusedInside { errors, .. } => errors.into_iter().next().map(|(_, error)| error),
        };
        let Some(error) = error else { return Ok(Answer::Taken) };
        match Verdict::of(&error) {
            Verdict::Fatal => Err(self.fatal(place, error)),
            Verdict::Refused => {
                self.refuse(place, Fate::Dropped);
                Ok(Answer::Dropped(vec![self.refusal(place, error)]))
            }
            _ => Ok(Answer::Passing(place, error)),
        }
    }

    fn on_transaction(&mut self, place: usize, outcome: Outcome) -> Result<Answer, WindowError> {
        let is_exec = self.is_answered();
        match outcome {
            // MULTI was refused, so the commands after it were carried out one by one.
            Outcome::Refused(error) if place == 0 => Err(self.fatal(0, error)),
            Outcome::Refused(error) if is_exec => self.on_abort(place, error),
            Outcome::Refused(error) => {
                self.refused.get_or_insert_default().unqueued.get_or_insert((place, error));
                Ok(Answer::Taken)
            }
            Outcome::NullArray if is_exec => Err(WindowError::Aborted),
            Outcome::RefusedInside { count, errors } if is_exec => {
                // The commands of a transaction come before its EXEC, to which this reply belongs.
                let at = |index: usize| (place + index).saturating_sub(count);
                let refusals = errors.into_iter().map(|(index, error)| self.refusal(at(index), error));
                Ok(Answer::Dropped(refusals.collect()))
            }
            _ if is_exec => Ok(self
                .take_unqueued()
                .map_or(Answer::Taken, |(place, error)| Answer::Dropped(vec![self.refusal(place, error)]))),
            _ => Ok(Answer::Taken),
        }
    }

    /// Handles a refused EXEC: nothing of the transaction was carried out.
    fn on_abort(&mut self, exec: usize, error: ServerError) -> Result<Answer, WindowError> {
        let (place, cause) = match (&error.code, self.take_unqueued()) {
            (ErrorCode::ExecAbort, Some(first)) => first,
            (ErrorCode::ExecAbort, None) => (exec, reason(&error).unwrap_or(error)),
            _ => (exec, error),
        };
        match Verdict::of(&cause) {
            Verdict::Fatal | Verdict::Refused => Err(self.fatal(place, cause)),
            _ => Ok(Answer::Passing(0, cause)),
        }
    }

    /// The error that ends the run because the command at `place` was refused.
    pub(super) fn fatal(&self, place: usize, error: ServerError) -> WindowError {
        WindowError::Refused(Box::new(self.refusal(place, error)))
    }

    fn refusal(&self, place: usize, error: ServerError) -> Refusal {
        Refusal::at(&self.commands, place, error)
    }

    /// Records that the command at `place`, or the whole transaction, is to be resent this `way`.
    pub(super) fn send_again(&mut self, place: usize, way: Way) {
        self.refuse(place, Fate::Again(way));
    }

    fn refuse(&mut self, place: usize, fate: Fate) {
        self.refused.get_or_insert_default().fates.push((place, fate));
    }

    fn take_unqueued(&mut self) -> Option<(usize, ServerError)> {
        self.refused.as_mut().and_then(|refused| refused.unqueued.take())
    }

    fn refused(&self) -> &[(usize, Fate)] {
        self.refused.as_ref().map_or(&[], |refused| &refused.fates)
    }

    pub(super) fn is_transaction(&self) -> bool {
        matches!(self.form, Form::Transaction { .. })
    }

    pub(super) fn is_answered(&self) -> bool {
        self.answered == self.commands.len()
    }

    /// Whether some or all of it is to be resent.
    pub(super) fn is_refused(&self) -> bool {
        self.refused().iter().any(|(_, fate)| matches!(fate, Fate::Again(_)))
    }

    /// The fate of each command, with its index. A transaction has one fate, at index 0.
    pub(super) fn fates(&self) -> impl Iterator<Item = (usize, Fate)> {
        let count = if self.is_transaction() { 1 } else { self.commands.len() };
        let answered = match self.form {
            Form::Transaction { .. } => usize::from(self.is_answered()),
            Form::Plain => self.answered,
        };
        let mut refused = self.refused().iter().peekable();
        (0..count).map(move |place| {
            let found = refused.next_if(|(at, _)| *at == place).map(|(_, fate)| *fate);
            let other = if place < answered { Fate::Done } else { Fate::Unknown };
            (place, found.unwrap_or(other))
        })
    }

    /// The command at `place`, or what `split` makes of it, as pieces of one command each; or the whole transaction.
    pub(super) fn parts(&self, place: usize, way: Way, split: Option<&Split>) -> Vec<Self> {
        if self.is_transaction() {
            return vec![Self::new(self.commands.clone(), self.form, self.batch, way)];
        }
        let refused = self.commands.command(place);
        let apart = split.zip(refused).and_then(|(split, command)| split.of(command));
        let commands = apart.unwrap_or_else(|| self.commands.part(place, 1));
        let part = |place| Self::new(commands.part(place, 1), Form::Plain, self.batch, way);
        (0..commands.len()).map(part).collect()
    }

    /// The commands from `place` on, or the whole transaction, to be sent to the owner.
    pub(super) fn rest(&self, place: usize) -> Self {
        Self::new(self.commands.part(place, usize::MAX), self.form, self.batch, Way::Owner)
    }
}
