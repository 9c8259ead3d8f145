//! Writes what was read of a snapshot to the target, in transactions that remove it again: nothing is ever left. Each is large, so
//! that the target's memory and tables grow as they do in a run, and is carried out while the next is read.

use std::ops::Range;
use std::time::Duration;

use redis_resp::{CommandBatch, Reply};
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

use super::ask::Asker;
use super::mirrored::{Part, name};

/// Keys of a transaction. With fewer, all that is written stays in the caches of the target's processor.
const KEYS: u64 = 131_072;

/// Bytes of values of a transaction, but for its last part.
const BYTES: u64 = 48 << 20;

/// The longest that a transaction waits for what is read.
const WAIT: Duration = Duration::from_millis(500);

/// Keys that are removed by one command.
const REMOVED: usize = 256;

/// A transaction that was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Carried {
    pub keys: u64,
    pub bytes: u64,
    pub at: Instant,
}

/// The keys, bytes and time of a pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    pub keys: u64,
    pub bytes: u64,
    pub time: Duration,
}

/// What was carried out between the end of the first transaction and that of the last: before, the target had to wait for what is
/// read, and was not as busy as it is later. If there was only one, it counts from the beginning.
pub(super) fn pace(began: Instant, carried: &[Carried]) -> Option<Pace> {
    match carried.split_first()? {
        (_, []) => whole(began, carried),
        (first, rest) => whole(first.at, rest),
    }
}

/// Everything that was carried out, from the beginning.
pub(super) fn whole(began: Instant, carried: &[Carried]) -> Option<Pace> {
    let time = carried.last()?.at.duration_since(began);
    let keys = carried.iter().map(|carried| carried.keys).sum();
    let bytes = carried.iter().map(|carried| carried.bytes).sum();
    Some(Pace { keys, bytes, time })
}

/// Writes to one server.
pub(super) struct RehearsedWrites {
    target: Asker,
    prefix: String,
    /// What is in the open transaction.
    names: Vec<Range<u64>>,
    keys: u64,
    bytes: u64,
    opened: Option<Instant>,
    carried: Vec<Carried>,
}

impl RehearsedWrites {
    /// The names of the keys begin with `prefix`.
    pub(super) fn new(target: Asker, prefix: String) -> Self {
        Self { target, prefix, names: Vec::new(), keys: 0, bytes: 0, opened: None, carried: Vec::new() }
    }

    /// Writes all parts. `None`: the target has not taken them.
    pub(super) async fn run(mut self, mut parts: Receiver<Part>) -> Option<Vec<Carried>> {
        while let Some(part) = parts.recv().await {
            self.add(part).await?;
            let is_late = self.opened.is_some_and(|opened| opened.elapsed() >= WAIT);
            if self.keys >= KEYS || self.bytes >= BYTES || is_late {
                self.carry_out().await?;
            }
        }
        if self.opened.is_some() {
            self.carry_out().await?;
        }
        Some(self.carried)
    }

    async fn add(&mut self, mut part: Part) -> Option<()> {
        let mut commands = CommandBatch::default();
        if self.opened.is_none() {
            self.opened = Some(Instant::now());
            commands.push(&[b"MULTI"]);
        }
        commands.append(&mut part.commands);
        self.names.append(&mut part.names);
        self.keys += part.keys;
        self.bytes += part.bytes;
        let replies = self.target.ask_batch(&mut commands).await.ok()?;
        replies.iter().all(|reply| matches!(reply, Reply::Simple(_))).then_some(())
    }

    async fn carry_out(&mut self) -> Option<()> {
        let names: Vec<Vec<u8>> =
            self.names.drain(..).flatten().map(|number| name(&self.prefix, number)).collect();
        let mut commands = CommandBatch::default();
        for names in names.chunks(REMOVED) {
            let mut unlink = commands.start(1 + names.len());
            unlink.arg(b"UNLINK");
            names.iter().for_each(|name| {
                unlink.arg(name);
            });
            unlink.finish();
        }
        commands.push(&[b"EXEC"]);
        let replies = self.target.ask_batch(&mut commands).await.ok()?;
        let Some(Reply::Array(done)) = replies.last() else { return None };
        if done.iter().any(|reply| matches!(reply, Reply::Error(_))) {
            return None;
        }
        self.carried.push(Carried { keys: self.keys, bytes: self.bytes, at: Instant::now() });
        (self.keys, self.bytes, self.opened) = (0, 0, None);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_transaction_counts_only_if_it_is_alone() {
        let began = Instant::now();
        let carried = |keys, millis| Carried { keys, bytes: keys, at: began + Duration::from_millis(millis) };
        assert_eq!(pace(began, &[]), None);
        let alone = Pace { keys: 5, bytes: 5, time: Duration::from_millis(700) };
        assert_eq!(pace(began, &[carried(5, 700)]), Some(alone));
        let later = Pace { keys: 9, bytes: 9, time: Duration::from_millis(500) };
        let three = [carried(5, 700), carried(5, 1000), carried(4, 1200)];
        assert_eq!(pace(began, &three), Some(later));
        let all = Pace { keys: 14, bytes: 14, time: Duration::from_millis(1200) };
        assert_eq!(whole(began, &three), Some(all));
    }
}
