//! What has happened in a run, for people: the last few events, with their times.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use dfly_wire::UnixMillis;

/// How many events are remembered.
const MOST: usize = 256;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: UnixMillis,
    /// What, in one sentence.
    pub text: String,
}

/// The last events.
#[derive(Debug, Default)]
pub(crate) struct Events(Mutex<VecDeque<Event>>);

impl Events {
    pub(crate) fn push(&self, at: UnixMillis, text: impl Into<String>) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() >= MOST {
            events.pop_front();
        }
        events.push_back(Event { at, text: text.into() });
    }

    pub(crate) fn read(&self) -> Vec<Event> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_events_are_remembered() {
        let events = Events::default();
        (0..1000).for_each(|n| events.push(UnixMillis(n), format!("event {n}")));
        let read = events.read();
        assert_eq!((read.len(), read[0].at, read[255].text.as_str()), (MOST, UnixMillis(744), "event 999"));
    }
}
