//! What is in flight on one connection, in order. Pure: it takes replies and returns tags.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use redis_resp::{
    CommandBatch, EncodedCommand, EncodedCommands, ErrorCode, Outcome, ServerError, SpareBatch,
};
use thiserror::Error;

use crate::refusal::{EXEC, Refusal};
use crate::tally::Tally;

/// How much may be in flight on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowLimits {
    /// Commands without a reply.
    pub commands: usize,
    /// Bytes of commands without a reply. One batch may exceed this when nothing else is in flight.
    pub bytes: usize,
}

impl Default for WindowLimits {
    /// 4096 commands and 1 MiB: several times the depth beyond which a Redis gets no faster.
    fn default() -> Self {
        Self { commands: 4096, bytes: 1 << 20 }
    }
}

/// Bytes in a microsecond, more than one connection of a Redis takes: a window of this times the round trip never runs empty.
const FASTEST: u128 = 200;

impl WindowLimits {
    /// As much more as may be on its way during a round trip, with `most_bytes` as the limit; never less than these.
    #[must_use]
    pub fn for_round_trip(self, round_trip: Duration, most_bytes: usize) -> Self {
        let on_its_way =
            usize::try_from(round_trip.as_micros().saturating_mul(FASTEST)).unwrap_or(usize::MAX);
        let bytes = self.bytes.saturating_add(on_its_way).min(most_bytes).max(self.bytes);
        let as_many = self.commands as u128 * bytes as u128 / self.bytes.max(1) as u128;
        let commands = usize::try_from(as_many).unwrap_or(usize::MAX);
        Self { commands, bytes }
    }

    /// Whether there is room beside so many commands of so many bytes.
    pub(crate) fn have_room(self, commands: usize, bytes: usize) -> bool {
        commands < self.commands && bytes < self.bytes
    }

    /// Whether so many commands of so many bytes take at least half. Nothing never does, whatever the limits.
    pub(crate) fn are_half_taken(self, commands: usize, bytes: usize) -> bool {
        commands >= (self.commands / 2).max(1) || bytes >= (self.bytes / 2).max(1)
    }
}

/// The maximum number of allocation sets that are kept for later batches.
const SPARES: usize = 16;

/// Batches in flight, first in, first out. `T` is the tag that the caller gets back when a batch has settled.
#[derive(Debug)]
pub struct Window<T> {
    limits: WindowLimits,
    batches: VecDeque<InFlight<T>>,
    /// The index of the oldest batch that may lack a reply. Every batch before it has all of its replies.
    replying: usize,
    commands: usize,
    bytes: usize,
    /// How many replies there have been.
    answers: u64,
    /// Commands that were refused. Only those are among its answers whose batch does not settle.
    refused: Tally,
    /// Allocations of settled batches, for later ones; at most [`SPARES`].
    spares: Vec<SpareBatch>,
    /// Commands that were refused since the last [`Self::take_refusals`], while others of their batch may be carried out.
    refusals: Vec<Refusal>,
}

#[derive(Debug)]
struct InFlight<T> {
    commands: EncodedCommands,
    /// How many commands have their reply.
    done: usize,
    /// Whether a command may be refused while those after it are carried out.
    is_independent: bool,
    tag: T,
}

impl<T> InFlight<T> {
    fn is_answered(&self) -> bool {
        self.done == self.commands.len()
    }

    /// Whether a refusal of the command at `place` leaves the other commands of the batch as they are.
    fn refuses_alone(&self, place: usize, error: &ServerError) -> bool {
        let has_key = || self.commands.command(place).is_some_and(|command| command.keys().next().is_some());
        self.is_independent && is_about_command(error) && has_key()
    }

    fn is_exec(&self, place: usize) -> bool {
        self.commands.command(place).is_some_and(|command| command.wire() == EXEC)
    }
}

/// Whether the server refuses the command for what it is, not for the state of the server, the user or the connection.
fn is_about_command(error: &ServerError) -> bool {
    let is_of_command = matches!(
        error.code,
        ErrorCode::Generic | ErrorCode::WrongType | ErrorCode::BusyKey | ErrorCode::NoScript
    );
    // The server closes the connection behind this one.
    is_of_command && !error.line.starts_with("ERR Protocol error")
}

/// Why a reply cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WindowError {
    /// The target refused a command. It has carried out the commands before it, and may carry out those after it.
    #[error("the target refuses {}: {}", .0.describe(), .0.error)]
    Refused(Box<Refusal>),
    /// A transaction was not carried out because a key that it watched was modified.
    #[error("the target has aborted a transaction: a key that it watched was modified")]
    Aborted,
    /// A reply came although nothing is in flight.
    #[error("the target sent a reply although nothing was in flight")]
    Unasked,
}

impl<T> Window<T> {
    /// An empty window.
    pub fn new(limits: WindowLimits) -> Self {
        Self {
            limits,
            batches: VecDeque::new(),
            replying: 0,
            commands: 0,
            bytes: 0,
            answers: 0,
            refused: Tally::default(),
            spares: Vec::new(),
            refusals: Vec::new(),
        }
    }

    /// Whether another batch may be pushed.
    pub fn has_room(&self) -> bool {
        self.limits.have_room(self.commands, self.bytes)
    }

    /// Whether at least half of the limit is in flight.
    pub fn is_half_full(&self) -> bool {
        self.limits.are_half_taken(self.commands, self.bytes)
    }

    /// How many replies have been taken.
    pub fn answers(&self) -> u64 {
        self.answers
    }

    /// What became of the commands that have their reply.
    pub fn tally(&self) -> Tally {
        Tally { answered: self.answers + self.refused.answered, ..self.refused }
    }

    /// How many commands have no reply.
    pub fn unanswered(&self) -> usize {
        self.commands
    }

    /// Whether nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Takes the batch's commands, leaves it empty, and returns the bytes to be written. A batch without commands settles
    /// when everything before it has settled.
    pub fn push(&mut self, batch: &mut CommandBatch, tag: T) -> Bytes {
        self.take(batch, false, tag)
    }

    /// The same for commands without a transaction that do not depend on each other: one that is refused for what it is
    /// is kept for [`Self::take_refusals`], and its batch settles.
    pub fn push_independent(&mut self, batch: &mut CommandBatch, tag: T) -> Bytes {
        self.take(batch, true, tag)
    }

    fn take(&mut self, batch: &mut CommandBatch, is_independent: bool, tag: T) -> Bytes {
        if let Some(spare) = self.spares.pop() {
            batch.recycle(spare);
        }
        let commands = batch.take();
        self.commands += commands.len();
        self.bytes += commands.wire().len();
        let wire = commands.wire().clone();
        self.batches.push_back(InFlight { commands, done: 0, is_independent, tag });
        wire
    }

    /// Takes the next reply, which belongs to the oldest command without one (P4). A command that was refused inside a
    /// transaction, or in a batch of independent commands, is kept for [`Self::take_refusals`].
    ///
    /// # Errors
    /// [`WindowError`]. The batch of a refused command does not settle unless it is resent ([`Self::rewind`]).
    pub fn on_outcome(&mut self, outcome: Outcome) -> Result<(), WindowError> {
        while self.batches.get(self.replying).is_some_and(InFlight::is_answered) {
            self.replying += 1;
        }
        let batch = self.batches.get_mut(self.replying).ok_or(WindowError::Unasked)?;
        match outcome {
            Outcome::Done => {}
            Outcome::NullArray if batch.is_exec(batch.done) => {
                return Err(WindowError::Aborted);
            }
            // Other commands return a null array when there is no result.
            Outcome::NullArray => {}
            Outcome::Refused(error) if batch.refuses_alone(batch.done, &error) => {
                self.refused.refused += 1;
                self.refusals.push(Refusal::at(&batch.commands, batch.done, error));
            }
            Outcome::Refused(error) => {
                self.refused += Tally { answered: 1, refused: 1, ..Tally::default() };
                return Err(WindowError::Refused(Box::new(Refusal::at(&batch.commands, batch.done, error))));
            }
            Outcome::RefusedInside { count, errors } => {
                self.refused.refused += errors.len() as u64;
                for (index, error) in errors {
                    // The commands of a transaction come before its EXEC, to which this reply belongs.
                    let place = (batch.done + index).saturating_sub(count);
                    self.refusals.push(Refusal::at(&batch.commands, place, error));
                }
            }
        }
        batch.done += 1;
        self.commands -= 1;
        self.answers += 1;
        Ok(())
    }

    /// The commands that were refused inside transactions, or among independent commands, since the last call. The other
    /// commands were carried out, and their batches settle.
    pub fn take_refusals(&mut self) -> Vec<Refusal> {
        std::mem::take(&mut self.refusals)
    }

    /// Switches to another connection, on which nothing has been sent yet. The leading batches for which `is_done` holds
    /// count as carried out; all others count as not sent. Returns the bytes to be written for these, in order.
    pub fn rewind(&mut self, is_done: impl Fn(&T) -> bool) -> Vec<Bytes> {
        let mut leading = true;
        (self.commands, self.replying) = (0, 0);
        let mut unsent = Vec::new();
        for batch in &mut self.batches {
            leading = leading && is_done(&batch.tag);
            batch.done = if leading { batch.commands.len() } else { 0 };
            self.commands += batch.commands.len() - batch.done;
            if !leading && !batch.commands.wire().is_empty() {
                unsent.push(batch.commands.wire().clone());
            }
        }
        unsent
    }

    /// The commands of the batches in flight, oldest first.
    pub fn in_flight(&self) -> impl Iterator<Item = EncodedCommand<'_>> {
        self.batches.iter().flat_map(|batch| batch.commands.iter())
    }

    /// The commands of the leading batches for which `is_done` holds and whose replies are not all in: if these batches count
    /// as answered ([`Self::rewind`]), nobody knows which of their commands were refused.
    pub fn unheard(&self, is_done: impl Fn(&T) -> bool) -> impl Iterator<Item = EncodedCommand<'_>> {
        let done = self.batches.iter().take_while(move |batch| is_done(&batch.tag));
        done.filter(|batch| !batch.is_answered()).flat_map(|batch| batch.commands.iter())
    }

    /// The tags of the batches in flight, oldest first.
    pub fn tags(&self) -> impl Iterator<Item = &T> {
        self.batches.iter().map(|batch| &batch.tag)
    }

    /// The tag of the oldest batch, if it has all of its replies. Tags come in the order of [`Self::push`].
    pub fn settled(&mut self) -> Option<T> {
        let batch = self.batches.pop_front_if(|batch| batch.is_answered())?;
        self.replying = self.replying.saturating_sub(1);
        self.bytes -= batch.commands.wire().len();
        self.keep(batch.commands);
        Some(batch.tag)
    }

    /// Keeps the allocations of settled commands: with what is in flight, no more than the window has, and one batch.
    fn keep(&mut self, commands: EncodedCommands) {
        let held: usize = self.spares.iter().map(SpareBatch::capacity).sum();
        let has_room = self.spares.len() < SPARES && self.bytes + held < self.limits.bytes;
        let spare = commands.into_spare().filter(|spare| has_room && spare.capacity() <= self.limits.bytes);
        self.spares.extend(spare);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use redis_resp::ServerError;

    use super::*;

    /// What is kept for later batches is bounded by the window, and something is kept.
    #[test]
    fn spares_hold_no_more_than_the_window() {
        let mut window = Window::new(WindowLimits { commands: 4096, bytes: 1 << 20 });
        for _ in 0..30 {
            let mut batch = CommandBatch::default();
            batch.push(&[b"SET", b"k", &[b'v'; 100_000]]);
            drop(window.push(&mut batch, ()));
        }
        for left in (0..30).rev() {
            window.on_outcome(Outcome::Done).unwrap();
            window.settled().unwrap();
            let held: usize = window.spares.iter().map(SpareBatch::capacity).sum();
            let batch = 7 << 14;
            assert!(held == 0 || left * 100_000 + held <= (1 << 20) + batch, "{held} beside {left} batches");
        }
        let held: usize = window.spares.iter().map(SpareBatch::capacity).sum();
        assert!(held > 900_000, "{held}");
    }

    /// With the least limits, too, an empty window has room, and is not half full: whoever waits until it is less full would wait
    /// for ever.
    #[test]
    fn an_empty_window_is_never_half_full() {
        for (commands, bytes) in [(1, 1), (1, 100), (100, 1), (4, 100)] {
            let limits = WindowLimits { commands, bytes };
            assert!(limits.have_room(0, 0) && !limits.are_half_taken(0, 0), "{limits:?}");
            assert!(limits.are_half_taken(commands, 0) && limits.are_half_taken(0, bytes), "{limits:?}");
        }
    }

    #[test]
    fn a_window_is_as_large_as_the_round_trip_needs() {
        let base = WindowLimits { commands: 1000, bytes: 1_000_000 };
        let at = |micros, most| base.for_round_trip(Duration::from_micros(micros), most);
        assert_eq!(at(0, 8_000_000), base);
        assert_eq!(at(100, 8_000_000), WindowLimits { commands: 1020, bytes: 1_020_000 });
        assert_eq!(at(20_000, 8_000_000), WindowLimits { commands: 5000, bytes: 5_000_000 });
        assert_eq!(at(1_000_000, 8_000_000), WindowLimits { commands: 8000, bytes: 8_000_000 });
        assert_eq!(at(20_000, 500_000), base, "never less");
        let nothing = WindowLimits { commands: 1, bytes: 0 };
        assert_eq!(nothing.for_round_trip(Duration::MAX, usize::MAX).bytes, usize::MAX);
    }

    fn batch(commands: usize) -> CommandBatch {
        let mut batch = CommandBatch::default();
        for i in 0..commands {
            batch.push_keyed(&[b"SET", i.to_string().as_bytes(), b"secret"], 1..2, i as u64);
        }
        batch
    }

    fn refused() -> Outcome {
        Outcome::Refused(ServerError::parse(b"WRONGTYPE Operation against a key"))
    }

    /// P4: an error at the first, a middle or the last place names its own command.
    #[test]
    fn a_refusal_names_its_command_and_no_value() {
        for place in 0..5 {
            let mut window = Window::new(WindowLimits::default());
            window.push(&mut batch(2), ());
            window.push(&mut batch(3), ());
            for _ in 0..place {
                window.on_outcome(Outcome::Done).unwrap();
            }
            let error = window.on_outcome(refused()).unwrap_err().to_string();
            let key = if place < 2 { place } else { place - 2 };
            assert_eq!(error, format!("the target refuses SET \"{key}\": WRONGTYPE Operation against a key"));
        }
    }

    /// C12: a value that is refused stands for itself, unless the server refuses everything.
    #[test]
    fn an_independent_command_is_refused_alone() {
        let mut window = Window::new(WindowLimits::default());
        window.push_independent(&mut batch(3), 1);
        window.on_outcome(Outcome::Done).unwrap();
        let bad = || Outcome::Refused(ServerError::parse(b"ERR Bad data format"));
        window.on_outcome(bad()).unwrap();
        window.on_outcome(Outcome::Done).unwrap();
        let refusals: Vec<String> = window.take_refusals().iter().map(Refusal::to_string).collect();
        assert_eq!(refusals, ["SET \"1\": ERR Bad data format"]);
        assert_eq!(window.settled(), Some(1));
        for line in ["OOM x", "NOPERM x", "READONLY x", "ERR Protocol error: invalid bulk length"] {
            let mut window = Window::new(WindowLimits::default());
            window.push_independent(&mut batch(1), 1);
            let error = ServerError::parse(line.as_bytes());
            assert!(window.on_outcome(Outcome::Refused(error)).is_err(), "{line}");
        }
        window.push(&mut batch(1), 2);
        assert!(window.on_outcome(bad()).is_err());
    }

    fn transaction() -> CommandBatch {
        let mut transaction = CommandBatch::default();
        for command in [&[&b"MULTI"[..]][..], &[b"SET", b"a", b"v"], &[b"LSET", b"b", b"0", b"v"], &[b"EXEC"]]
        {
            transaction.push(command);
        }
        transaction
    }

    /// P4 and P5: an error inside a transaction names its command, and the others are carried out.
    #[test]
    fn a_refusal_inside_a_transaction_names_its_command() {
        let mut window = Window::new(WindowLimits::default());
        window.push(&mut transaction(), ());
        for _queued in 0..3 {
            window.on_outcome(Outcome::Done).unwrap();
        }
        let errors = vec![(1, ServerError::parse(b"ERR no such key"))];
        window.on_outcome(Outcome::RefusedInside { count: 2, errors }).unwrap();
        let refusals: Vec<String> = window.take_refusals().iter().map(Refusal::to_string).collect();
        assert_eq!(refusals, ["LSET \"b\": ERR no such key"]);
        assert_eq!((window.settled(), window.take_refusals().len()), (Some(()), 0));
        let tally = window.tally();
        assert_eq!((tally.answered, tally.refused, tally.done(), window.unanswered()), (4, 1, 3, 0));
    }

    /// What is refused in a batch whose replies were lost is not known.
    #[test]
    fn batches_that_count_as_answered_unheard_are_given() {
        let mut window = Window::new(WindowLimits::default());
        for tag in 0..3 {
            window.push(&mut batch(2), tag);
        }
        for _ in 0..3 {
            window.on_outcome(Outcome::Done).unwrap();
        }
        assert_eq!(window.unheard(|tag| *tag < 2).count(), 2, "those of the second batch");
        assert_eq!((window.unheard(|tag| *tag < 1).count(), window.unheard(|_| false).count()), (0, 0));
    }

    #[test]
    fn an_aborted_transaction_never_settles_unless_it_is_sent_again() {
        let mut window = Window::new(WindowLimits::default());
        let mut pops = CommandBatch::default();
        pops.push(&[b"LPOP", b"k", b"2"]);
        window.push(&mut pops, 1);
        window.on_outcome(Outcome::NullArray).unwrap();
        window.push(&mut transaction(), 2);
        window.push(&mut transaction(), 3);
        for _queued in 0..3 {
            window.on_outcome(Outcome::Done).unwrap();
        }
        assert_eq!(window.on_outcome(Outcome::NullArray), Err(WindowError::Aborted));
        assert_eq!((window.settled(), window.settled()), (Some(1), None));
        let unsent = window.rewind(|tag| *tag <= 2);
        assert_eq!((unsent.len(), window.settled(), window.settled()), (1, Some(2), None));
        for _reply in 0..4 {
            window.on_outcome(Outcome::Done).unwrap();
        }
        assert_eq!((window.settled(), window.is_empty()), (Some(3), true));
    }

    /// P5: what follows a refused command never settles.
    #[test]
    fn nothing_settles_past_a_refusal() {
        let mut window = Window::new(WindowLimits::default());
        window.push(&mut batch(1), 1);
        window.push(&mut batch(1), 2);
        window.on_outcome(refused()).unwrap_err();
        assert_eq!(window.settled(), None);
        assert_eq!((window.tally().done(), window.tally().refused), (0, 1));
    }

    #[test]
    fn empty_batches_settle_in_their_turn() {
        let mut window = Window::new(WindowLimits::default());
        window.push(&mut batch(0), 1);
        assert_eq!(window.settled(), Some(1));
        window.push(&mut batch(1), 2);
        window.push(&mut batch(0), 3);
        assert_eq!(window.settled(), None);
        window.on_outcome(Outcome::Done).unwrap();
        assert_eq!((window.settled(), window.settled(), window.settled()), (Some(2), Some(3), None));
        assert_eq!(window.on_outcome(Outcome::Done), Err(WindowError::Unasked));
    }

    proptest! {
        /// Whatever the batch sizes and the timing of replies, tags come back in order, none before its commands and all
        /// commands before them have their replies. There is room exactly as long as the limits allow.
        #[test]
        fn tags_follow_replies(sizes in prop::collection::vec(0usize..6, 1..30), replies in prop::collection::vec(1usize..9, 1..60)) {
            let limits = WindowLimits { commands: 10, bytes: 1 << 20 };
            let mut window = Window::new(limits);
            let (mut pushed, mut answered, mut settled) = (0usize, 0usize, Vec::new());
            let mut totals = Vec::new();
            let mut sizes = sizes.into_iter();
            for burst in replies {
                while window.has_room() && let Some(size) = sizes.next() {
                    pushed += size;
                    totals.push(pushed);
                    window.push(&mut batch(size), totals.len() - 1);
                }
                for _ in 0..burst.min(pushed - answered) {
                    window.on_outcome(Outcome::Done).unwrap();
                    answered += 1;
                }
                while let Some(tag) = window.settled() {
                    prop_assert!(totals[tag] <= answered);
                    settled.push(tag);
                }
                prop_assert_eq!(window.has_room(), pushed - answered < limits.commands);
            }
            prop_assert!(settled.iter().copied().eq(0..settled.len()));
        }
    }
}
