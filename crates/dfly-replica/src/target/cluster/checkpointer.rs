//! When a flow's position is stored in a cluster: by itself, now and then, once the required replicas have acknowledged every
//! write before it. Pure: what was carried out, answers and times in; what to ask and what to store out.

use std::time::{Duration, Instant};

use redis_slots::Slot;
use tracing::{debug, warn};

use super::durability::Durability;
use crate::checkpoint::Position;

/// Warn after checkpointing has been blocked this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two questions whether a position is safe, at the most.
const RETRY: Duration = Duration::from_millis(200);

/// What is being done about the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Resting,
    /// Whether this position is safe; `None`: the answer is of no use any more.
    Asking(Option<Position>),
    Storing,
}

/// What has to happen next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing.
    Nothing,
    /// The position is to be stored, with the slots that are marked with it.
    Store(Position, Vec<Slot>),
    /// A primary was replaced, or was restarted.
    Replaced(String),
}

/// What was carried out, and what of it is stored.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    interval: Duration,
    /// Everything before it was carried out.
    carried: Option<Position>,
    stored: Option<Position>,
    state: State,
    /// When to store next.
    due: Instant,
    /// Since when it is not possible.
    blocked: Option<Instant>,
    /// The flow waits at a flush, with which positions are stored.
    is_paused: bool,
}

impl Checkpointer {
    /// For a flow that stands at `stored`, if it resumes. Positions are stored once an `interval`.
    pub(crate) fn new(stored: Option<Position>, interval: Duration, now: Instant) -> Self {
        Self {
            interval,
            carried: stored,
            stored,
            state: State::Resting,
            due: now,
            blocked: None,
            is_paused: false,
        }
    }

    /// Everything before `at` was carried out.
    pub(crate) fn carried(&mut self, at: Position) {
        self.carried = Some(at);
    }

    /// The position that is stored.
    pub(crate) fn stored(&self) -> Option<Position> {
        self.stored
    }

    /// `at` is stored.
    pub(crate) fn on_stored(&mut self, at: Position) {
        self.stored = Some(at);
        self.carried = self.carried.max(self.stored);
        self.state = State::Resting;
        self.blocked = None;
    }

    /// The flow waits at a flush.
    pub(crate) fn pause(&mut self) {
        self.is_paused = true;
    }

    /// A flush is carried out, and `at` is stored with it.
    pub(crate) fn pass_flush(&mut self, at: Position) {
        (self.carried, self.stored, self.is_paused) = (Some(at), Some(at), false);
        if let State::Asking(position) = &mut self.state {
            *position = None;
        }
    }

    /// Whether everything that was carried out is stored.
    pub(crate) fn is_done(&self) -> bool {
        self.carried == self.stored && self.state == State::Resting
    }

    /// The position that is stored, if nothing is being done about it and no flush is waited for.
    pub(crate) fn at_rest(&self) -> Option<Position> {
        self.stored.filter(|_| self.is_done() && !self.is_paused)
    }

    /// When to ask next; soon, if nothing follows (`is_idle`).
    pub(crate) fn deadline(&self, is_idle: bool) -> Option<Instant> {
        let is_early = is_idle && self.blocked.is_none();
        let early = if is_early { self.interval * 9 / 10 } else { Duration::ZERO };
        let is_due = self.carried != self.stored && self.state == State::Resting && !self.is_paused;
        is_due.then(|| self.due.checked_sub(early).unwrap_or(self.due))
    }

    /// The position to ask about, if that is due, or `at_once`. The answer goes to [`Self::on_answer`].
    pub(crate) fn ask(&mut self, is_idle: bool, at_once: bool, now: Instant) -> Option<Position> {
        let deadline = self.deadline(is_idle)?;
        let at_once = at_once && self.blocked.is_none();
        if !at_once && now < deadline {
            return None;
        }
        self.state = State::Asking(self.carried);
        self.carried
    }

    /// Whether the position that was asked about may be stored.
    pub(crate) fn on_answer(&mut self, durability: Durability, now: Instant) -> Outcome {
        let State::Asking(position) = self.state else { return Outcome::Nothing };
        self.state = State::Resting;
        match (durability, position) {
            (Durability::Replaced(why), _) => Outcome::Replaced(why),
            // The flush of the source takes the markers along.
            (Durability::Forgotten(why), Some(_)) if !self.is_paused => Outcome::Replaced(why),
            (Durability::Forgotten(_), _) => Outcome::Nothing,
            (Durability::NotYet(reason), _) => {
                self.block(&reason, now);
                Outcome::Nothing
            }
            // Positions behind a flush are stored with it.
            (Durability::Safe(marked), Some(position)) if !self.is_paused => {
                self.state = State::Storing;
                self.due = now + self.interval;
                Outcome::Store(position, marked)
            }
            (Durability::Safe(_), _) => Outcome::Nothing,
        }
    }

    fn block(&mut self, reason: &str, now: Instant) {
        self.due = now + self.interval.min(RETRY);
        debug!(reason, "the position is not stored yet");
        let since = *self.blocked.get_or_insert(now);
        if now.saturating_duration_since(since) >= PATIENCE {
            warn!(reason, "no checkpoint could be stored for {} s; data is written on", PATIENCE.as_secs());
            self.blocked = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use dfly_journal::Lsn;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(next: u64) -> Position {
        Position::at(next, Lsn(next))
    }

    #[test]
    fn a_position_is_stored_once_it_is_safe() {
        let now = Instant::now();
        let mut checkpointer = Checkpointer::new(None, SECOND, now);
        assert!(checkpointer.is_done() && checkpointer.ask(true, true, now).is_none());
        checkpointer.carried(at(5));
        assert_eq!(checkpointer.ask(false, false, now), Some(at(5)));
        assert!(checkpointer.ask(true, true, now).is_none(), "one question at a time");
        checkpointer.carried(at(6));
        let not_yet = Durability::NotYet("replicas are behind".to_owned());
        assert_eq!(checkpointer.on_answer(not_yet, now), Outcome::Nothing);
        assert!(checkpointer.ask(true, true, now).is_none(), "not at once where it is blocked");
        assert_eq!(checkpointer.ask(false, false, now + RETRY), Some(at(6)));
        let safe = Durability::Safe(vec![Slot(1)]);
        assert_eq!(checkpointer.on_answer(safe, now + RETRY), Outcome::Store(at(6), vec![Slot(1)]));
        assert!(!checkpointer.is_done());
        checkpointer.on_stored(at(6));
        assert!(checkpointer.is_done() && checkpointer.stored() == Some(at(6)));
    }

    #[test]
    fn nothing_is_stored_between_a_flush_and_its_positions() {
        let now = Instant::now();
        let mut checkpointer = Checkpointer::new(Some(at(1)), SECOND, now);
        checkpointer.carried(at(5));
        assert!(checkpointer.ask(false, true, now).is_some());
        checkpointer.pause();
        assert_eq!(checkpointer.on_answer(Durability::Safe(vec![]), now), Outcome::Nothing);
        assert!(checkpointer.ask(true, true, now + SECOND).is_none());
        checkpointer.pass_flush(at(7));
        assert!(checkpointer.is_done() && checkpointer.stored() == Some(at(7)));
        checkpointer.carried(at(8));
        assert!(checkpointer.ask(false, true, now).is_some());
        checkpointer.pass_flush(at(9));
        assert_eq!(checkpointer.on_answer(Durability::Safe(vec![]), now), Outcome::Nothing, "an old answer");
    }

    /// C27: what is missing is a loss, unless the flush of the source has taken it.
    #[test]
    fn what_a_flush_takes_is_not_missed() {
        let now = Instant::now();
        let forgotten = || Durability::Forgotten("emptied".to_owned());
        let mut checkpointer = Checkpointer::new(Some(at(1)), SECOND, now);
        assert_eq!(checkpointer.at_rest(), Some(at(1)));
        checkpointer.carried(at(5));
        checkpointer.ask(false, true, now);
        assert_eq!(checkpointer.on_answer(forgotten(), now), Outcome::Replaced("emptied".to_owned()));
        checkpointer.ask(false, true, now);
        checkpointer.pause();
        assert_eq!(
            (checkpointer.on_answer(forgotten(), now), checkpointer.at_rest()),
            (Outcome::Nothing, None)
        );
        checkpointer.pass_flush(at(7));
        checkpointer.carried(at(8));
        checkpointer.ask(false, true, now);
        checkpointer.pass_flush(at(9));
        assert_eq!(checkpointer.on_answer(forgotten(), now), Outcome::Nothing);
    }

    #[test]
    fn a_replaced_primary_ends_it() {
        let now = Instant::now();
        let mut checkpointer = Checkpointer::new(None, SECOND, now);
        checkpointer.carried(at(5));
        checkpointer.ask(false, true, now);
        let replaced = Durability::Replaced("restarted".to_owned());
        assert_eq!(checkpointer.on_answer(replaced, now), Outcome::Replaced("restarted".to_owned()));
    }
}
