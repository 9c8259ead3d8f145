//! Writes what was read of a snapshot to the target, in transactions that remove it again: nothing is ever left. Each is large, so
//! that the target's memory and tables grow as they do in a run, and is carried out while the next is read.

use std::time::Duration;

use redis_resp::{CommandBatch, Reply};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};

use super::ask::Asker;
use super::mirrored::{Names, Part};

/// Keys of a transaction. With fewer, all that is written stays in the caches of the target's processor.
const KEYS: u64 = 131_072;

/// Bytes of values of a transaction, but for its last part.
const BYTES: u64 = 64 << 20;

/// The longest that a transaction waits for what is read.
const WAIT: Duration = Duration::from_secs(1);

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

/// A transaction that grows.
#[derive(Debug, Default)]
struct Transaction {
    commands: CommandBatch,
    numbers: Vec<u64>,
    keys: u64,
    bytes: u64,
}

impl Transaction {
    fn is_full(&self) -> bool {
        self.keys >= KEYS || self.bytes >= BYTES
    }

    fn add(&mut self, mut part: Part) {
        if self.commands.is_empty() {
            self.commands.push(&[b"MULTI"]);
        }
        self.commands.append(&mut part.commands);
        self.numbers.append(&mut part.numbers);
        self.keys += part.keys;
        self.bytes += part.bytes;
    }

    /// All commands, those behind them that remove what was written, and EXEC.
    fn whole(self, names: &mut Names) -> CommandBatch {
        let mut commands = self.commands;
        for numbers in self.numbers.chunks(REMOVED) {
            let mut unlink = commands.start(1 + numbers.len());
            unlink.arg(b"UNLINK");
            for number in numbers {
                unlink.arg(names.with(*number));
            }
            unlink.finish();
        }
        commands.push(&[b"EXEC"]);
        commands
    }
}

/// Writes to one server.
pub(super) struct RehearsedWrites {
    target: Asker,
    names: Names,
    carried: Vec<Carried>,
}

impl RehearsedWrites {
    /// The names of the keys begin with `prefix`.
    pub(super) fn new(target: Asker, prefix: &str) -> Self {
        Self { target, names: Names::new(prefix), carried: Vec::new() }
    }

    /// Writes all parts. What comes while a transaction is carried out waits in the channel. `None`: the target has not taken
    /// them.
    pub(super) async fn run(mut self, mut parts: Receiver<Part>) -> Option<Vec<Carried>> {
        while let Some(part) = parts.recv().await {
            let until = Instant::now() + WAIT;
            let mut transaction = Transaction::default();
            transaction.add(part);
            while !transaction.is_full()
                && let Ok(Some(part)) = timeout_at(until, parts.recv()).await
            {
                transaction.add(part);
            }
            self.carry_out(transaction).await?;
        }
        Some(self.carried)
    }

    async fn carry_out(&mut self, transaction: Transaction) -> Option<()> {
        let (keys, bytes) = (transaction.keys, transaction.bytes);
        let replies = self.target.ask_batch(&mut transaction.whole(&mut self.names)).await.ok()?;
        let Some(Reply::Array(done)) = replies.last() else { return None };
        if done.iter().any(|reply| matches!(reply, Reply::Error(_))) {
            return None;
        }
        self.carried.push(Carried { keys, bytes, at: Instant::now() });
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
