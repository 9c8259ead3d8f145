//! What became of commands, in numbers.

use std::ops::AddAssign;

/// How many commands a server has answered, and how. It only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Answers of every kind. A command of a transaction is answered when it is queued.
    pub answered: u64,
    /// Commands that were refused.
    pub refused: u64,
    /// Commands that were sent to another node for good (`MOVED`).
    pub moved: u64,
    /// Commands that were sent to another node this one time (`ASK`).
    pub ask: u64,
    /// Commands that the node did not take for now (`TRYAGAIN`, `LOADING`, `OOM`), and that are sent again.
    pub later: u64,
}

impl Tally {
    /// Commands that were carried out.
    pub fn done(&self) -> u64 {
        let others = self.refused + self.moved + self.ask + self.later;
        self.answered.saturating_sub(others)
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, more: Self) {
        self.answered += more.answered;
        self.refused += more.refused;
        self.moved += more.moved;
        self.ask += more.ask;
        self.later += more.later;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_was_carried_out() {
        let mut tally = Tally { answered: 10, refused: 1, moved: 2, ask: 3, later: 1 };
        assert_eq!(tally.done(), 3);
        tally += Tally { answered: 5, ..Tally::default() };
        assert_eq!(tally.done(), 8);
    }
}
