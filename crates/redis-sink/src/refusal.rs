//! Commands as they were sent, and those that were refused.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use redis_resp::{CommandBatch, ServerError, arguments};

/// EXEC on the wire.
pub(crate) const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

/// Commands one behind the other, as they go on the wire: a batch, or a part of one, which shares its memory.
#[derive(Debug, Clone)]
pub(crate) struct Commands {
    wire: Bytes,
    /// Where each command of the batch ends in the batch; ascending.
    ends: Arc<Vec<usize>>,
    /// Which of the batch's commands is the first of these, and how many these are.
    first: usize,
    count: usize,
}

impl Commands {
    /// The batch's commands; the batch is empty then.
    pub(crate) fn take(batch: &mut CommandBatch) -> Self {
        let (wire, ends) = batch.take();
        Self { wire, first: 0, count: ends.len(), ends: Arc::new(ends) }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// All of them.
    pub(crate) fn wire(&self) -> &Bytes {
        &self.wire
    }

    /// The allocation that holds where commands end, if nothing else needs it.
    pub(crate) fn into_ends(self) -> Vec<usize> {
        Arc::try_unwrap(self.ends).unwrap_or_default()
    }

    /// Command `place`; empty if there is none.
    pub(crate) fn command(&self, place: usize) -> Bytes {
        self.wire.slice(self.start(place)..self.start(place + 1))
    }

    /// Command `place` by itself.
    pub(crate) fn single(&self, place: usize) -> Self {
        self.part(place, 1)
    }

    /// Command `place` and those behind it.
    pub(crate) fn tail(&self, place: usize) -> Self {
        self.part(place, self.count)
    }

    /// `count` commands from `place` on, or as many as there are.
    pub(crate) fn part(&self, place: usize, count: usize) -> Self {
        let place = place.min(self.count);
        let count = count.min(self.count - place);
        Self {
            wire: self.wire.slice(self.start(place)..self.start(place + count)),
            ends: Arc::clone(&self.ends),
            first: self.first + place,
            count,
        }
    }

    pub(crate) fn refusal(&self, place: usize, error: ServerError) -> Refusal {
        let selected = |at| {
            let command = self.command(at);
            let mut words = arguments(&command);
            let db = words.next().filter(|name| *name == b"SELECT").and_then(|_| words.next())?;
            std::str::from_utf8(db).ok()?.parse().ok()
        };
        let rest = self.wire.slice(self.start(place + 1)..);
        Refusal { command: self.command(place), error, db: (0..place).rev().find_map(selected), rest }
    }

    /// Where command `place` starts; the end of all if there is none.
    fn start(&self, place: usize) -> usize {
        let end =
            |index: usize| index.checked_sub(1).map_or(0, |last| self.ends.get(last).copied().unwrap_or(0));
        end(self.first + place.min(self.count)) - end(self.first)
    }
}

/// A command that the target refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The command as it went on the wire.
    pub command: Bytes,
    /// The target's answer.
    pub error: ServerError,
    /// The database that the last SELECT before it in its batch names, if there is one.
    pub db: Option<u32>,
    /// The commands behind it in its batch.
    pub rest: Bytes,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.describe(), self.error)
    }
}

impl Refusal {
    /// The command's name.
    pub fn name(&self) -> String {
        arguments(&self.command).next().unwrap_or_default().escape_ascii().to_string()
    }

    /// The command's name and its first argument, mostly the key; never a value.
    pub fn describe(&self) -> String {
        let mut words = arguments(&self.command).map(|word| word.escape_ascii().to_string());
        let name = words.next().unwrap_or_default();
        match (name.as_str(), words.next()) {
            ("EVAL", _) => format!("a script on key \"{}\"", words.nth(1).unwrap_or_default()),
            (_, Some(key)) => format!("{name} \"{}\"", key.chars().take(200).collect::<String>()),
            (_, None) => name,
        }
    }
}
