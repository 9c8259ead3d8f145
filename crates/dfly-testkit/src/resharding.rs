//! Moves slots in the background while a test writes to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

/// Repeats one step on its own thread until it is ended.
#[derive(Debug)]
pub struct Resharding {
    end: Arc<AtomicBool>,
    rounds: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Resharding {
    /// Calls `step` repeatedly, with the number of the round from 0 on. A step moves a slot, for example, and is never
    /// interrupted.
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

    /// Ends the thread after the current step. Returns the number of rounds.
    ///
    /// # Panics
    /// If a step has panicked.
    pub fn end(self) -> usize {
        self.end.store(true, Ordering::Release);
        if let Err(panic) = self.task.join() {
            std::panic::resume_unwind(panic);
        }
        self.rounds.load(Ordering::Acquire)
    }
}
