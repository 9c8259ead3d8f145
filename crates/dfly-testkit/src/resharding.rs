//! Slots that move, for as long as somebody writes to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

/// Does one thing again and again, on a thread of its own, until it is ended.
#[derive(Debug)]
pub struct Resharding {
    end: Arc<AtomicBool>,
    rounds: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Resharding {
    /// Calls `step` with the number of the round, from 0 on: to move a slot, say. It is let come to its end.
    pub fn start(mut step: impl FnMut(usize) + Send + 'static) -> Self {
        let (end, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (ended, count) = (Arc::clone(&end), Arc::clone(&rounds));
        let task = thread::spawn(move || {
            while !ended.load(Ordering::Acquire) {
                step(count.load(Ordering::Acquire));
                count.fetch_add(1, Ordering::AcqRel);
            }
        });
        Self { end, rounds, task }
    }

    /// Ends it; gives how many rounds there were.
    ///
    /// # Panics
    /// If a step has.
    pub fn end(self) -> usize {
        self.end.store(true, Ordering::Release);
        if let Err(panic) = self.task.join() {
            std::panic::resume_unwind(panic);
        }
        self.rounds.load(Ordering::Acquire)
    }
}
