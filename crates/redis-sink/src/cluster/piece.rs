//! What is sent of a slot in one go, and what was answered to it.

use redis_resp::{CommandBatch, EncodedCommands, ErrorCode, Outcome, ServerError};

use crate::cluster::map::NodeId;
use crate::cluster::unit::Form;
use crate::cluster::verdict::{Verdict, reason};
use crate::refusal::Refusal;
use crate::window::WindowError;

/// Where a piece goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To whoever owns the slot.
    Owner,
    /// To another node, behind ASKING.
    Ask(NodeId),
}

/// A unit, or what is left of one: a command of it that was refused.
#[derive(Debug)]
pub(super) struct Piece {
    pub commands: EncodedCommands,
    pub form: Form,
    /// The number of its batch.
    pub batch: usize,
    pub way: Way,
    /// How many commands have their reply; at most all of them.
    answered: usize,
    /// Places of the commands that were refused, ascending. A transaction is refused at place 0.
    refused: Vec<(usize, Fate)>,
    /// The first command that was refused when a transaction was queued.
    unqueued: Option<(usize, ServerError)>,
}

/// What became of a command that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Carried out.
    Done,
    /// Refused, and given to the caller.
    Dropped,
    /// Refused in a way that passes.
    Again(Way),
    /// There is no reply, and none will come.
    Unknown,
}

/// What a reply meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing more than that it came.
    Taken,
    /// These are not carried out, ever.
    Dropped(Vec<Refusal>),
    /// The command at this place, or the transaction, is to be sent again.
    Passing(usize, ServerError),
}

impl Piece {
    pub(super) fn new(commands: EncodedCommands, form: Form, batch: usize, way: Way) -> Self {
        Self { commands, form, batch, way, answered: 0, refused: Vec::new(), unqueued: None }
    }

    /// The commands of `batch`, if there are any, each of which may be carried out again.
    pub(super) fn plain(batch: &mut CommandBatch, number: usize) -> Option<Self> {
        let is_any = !batch.is_empty();
        is_any.then(|| Self::new(batch.take(), Form::Plain, number, Way::Owner))
    }

    /// Takes the reply to the oldest command without one.
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
                self.refused.push((place, Fate::Dropped));
                Ok(Answer::Dropped(vec![self.refusal(place, error)]))
            }
            _ => Ok(Answer::Passing(place, error)),
        }
    }

    fn on_transaction(&mut self, place: usize, outcome: Outcome) -> Result<Answer, WindowError> {
        let is_exec = self.is_answered();
        match outcome {
            // Without MULTI, what follows was carried out one by one.
            Outcome::Refused(error) if place == 0 => Err(self.fatal(0, error)),
            Outcome::Refused(error) if is_exec => self.on_abort(place, error),
            Outcome::Refused(error) => {
                self.unqueued.get_or_insert((place, error));
                Ok(Answer::Taken)
            }
            Outcome::NullArray if is_exec => Err(WindowError::Aborted),
            Outcome::RefusedInside { count, errors } if is_exec => {
                // The commands of a transaction stand before its EXEC, which this reply answers.
                let at = |index: usize| (place + index).saturating_sub(count);
                let refusals = errors.into_iter().map(|(index, error)| self.refusal(at(index), error));
                Ok(Answer::Dropped(refusals.collect()))
            }
            _ => Ok(self
                .unqueued
                .take_if(|_| is_exec)
                .map_or(Answer::Taken, |(place, error)| Answer::Dropped(vec![self.refusal(place, error)]))),
        }
    }

    /// EXEC was refused: nothing was carried out.
    fn on_abort(&mut self, exec: usize, error: ServerError) -> Result<Answer, WindowError> {
        let (place, cause) = match (&error.code, self.unqueued.take()) {
            (ErrorCode::ExecAbort, Some(first)) => first,
            (ErrorCode::ExecAbort, None) => (exec, reason(&error).unwrap_or(error)),
            _ => (exec, error),
        };
        match Verdict::of(&cause) {
            Verdict::Fatal | Verdict::Refused => Err(self.fatal(place, cause)),
            _ => Ok(Answer::Passing(0, cause)),
        }
    }

    /// The end of the run, for what was refused at `place`.
    pub(super) fn fatal(&self, place: usize, error: ServerError) -> WindowError {
        WindowError::Refused(Box::new(self.refusal(place, error)))
    }

    fn refusal(&self, place: usize, error: ServerError) -> Refusal {
        Refusal::at(&self.commands, place, error)
    }

    /// The command at `place`, or the transaction, goes again `way`.
    pub(super) fn send_again(&mut self, place: usize, way: Way) {
        self.refused.push((place, Fate::Again(way)));
    }

    pub(super) fn is_transaction(&self) -> bool {
        matches!(self.form, Form::Transaction { .. })
    }

    pub(super) fn is_answered(&self) -> bool {
        self.answered == self.commands.len()
    }

    /// Whether a part of it, or all, is to be sent again.
    pub(super) fn is_refused(&self) -> bool {
        self.refused.iter().any(|(_, fate)| matches!(fate, Fate::Again(_)))
    }

    /// What became of each command, with its place; of a transaction, what became of it.
    pub(super) fn fates(&self) -> impl Iterator<Item = (usize, Fate)> {
        let count = if self.is_transaction() { 1 } else { self.commands.len() };
        let answered = match self.form {
            Form::Transaction { .. } => usize::from(self.is_answered()),
            Form::Plain => self.answered,
        };
        let mut refused = self.refused.iter().peekable();
        (0..count).map(move |place| {
            let found = refused.next_if(|(at, _)| *at == place).map(|(_, fate)| *fate);
            let other = if place < answered { Fate::Done } else { Fate::Unknown };
            (place, found.unwrap_or(other))
        })
    }

    /// The command at `place`, or the transaction, to be sent by itself.
    pub(super) fn part(&self, place: usize, way: Way) -> Self {
        let commands =
            if self.is_transaction() { self.commands.clone() } else { self.commands.part(place, 1) };
        Self::new(commands, self.form, self.batch, way)
    }

    /// The commands from `place` on, or the transaction, to be sent to the owner.
    pub(super) fn rest(&self, place: usize) -> Self {
        Self::new(self.commands.part(place, usize::MAX), self.form, self.batch, Way::Owner)
    }
}
