//! Writes what was read of a snapshot to the target, in transactions that remove it again: nothing is ever left. Each is large, so
//! that the target's memory and tables grow as they do in a run. The next is read while one is carried out.

use std::time::Duration;

use redis_resp::{CommandBatch, Reply};
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

use super::ask::Asker;
use super::mirrored::{Names, Part};
use crate::sample::float;

/// Keys of a transaction. With fewer, all that is written stays in the caches of the target's processor.
pub(crate) const KEYS: u64 = 131_072;

/// Bytes of values of a transaction, but for its last part.
const BYTES: u64 = 64 << 20;

/// How many transactions of short strings are timed.
const REFERENCES: usize = 2;

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

/// Everything that was carried out.
#[derive(Debug, Default)]
pub(super) struct Rehearsed {
    pub transactions: Vec<Carried>,
    /// The target's time for removing all of it again, which a run does not need.
    pub removing: Duration,
}

impl Rehearsed {
    /// What was carried out between the end of the first transaction and that of the last: before, the target had to wait for what
    /// is read, and was not as busy as it is later. If there was only one, it counts from the beginning.
    pub(super) fn pace(&self, began: Instant) -> Option<Pace> {
        match self.transactions.split_first()? {
            (_, []) => self.whole(began),
            (first, rest) => self.of(first.at, rest),
        }
    }

    /// Everything that was carried out, from the beginning.
    pub(super) fn whole(&self, began: Instant) -> Option<Pace> {
        self.of(began, &self.transactions)
    }

    fn of(&self, began: Instant, part: &[Carried]) -> Option<Pace> {
        let keys_of = |part: &[Carried]| part.iter().map(|carried| carried.keys).sum::<u64>();
        let (keys, all) = (keys_of(part), keys_of(&self.transactions));
        let bytes = part.iter().map(|carried| carried.bytes).sum();
        let removing = self.removing.mul_f64(float(keys) / float(all.max(1)));
        let time = part.last()?.at.duration_since(began).saturating_sub(removing);
        Some(Pace { keys, bytes, time })
    }
}

/// A transaction that is open at the target: what it holds is carried out with its end.
#[derive(Debug, Default)]
struct Transaction {
    numbers: Vec<u64>,
    keys: u64,
    bytes: u64,
}

impl Transaction {
    fn is_full(&self) -> bool {
        self.keys >= KEYS || self.bytes >= BYTES
    }

    /// The commands that remove what it has written, and EXEC.
    fn end(&self, names: &mut Names) -> CommandBatch {
        let mut commands = CommandBatch::default();
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
    open: Option<Transaction>,
    transactions: Vec<Carried>,
}

impl RehearsedWrites {
    /// The names of the keys begin with `prefix`.
    pub(super) fn new(target: Asker, prefix: &str) -> Self {
        Self { target, names: Names::new(prefix), open: None, transactions: Vec::new() }
    }

    /// Writes all parts. What comes while a transaction is carried out waits in the channel. `None`: the target has not taken
    /// them.
    pub(super) async fn run(mut self, mut parts: Receiver<Part>) -> Option<Rehearsed> {
        let before = self.removing().await?;
        while let Some(part) = parts.recv().await {
            self.add(part).await?;
        }
        self.carry_out().await?;
        let removing = self.removing().await?.saturating_sub(before);
        Some(Rehearsed { transactions: self.transactions, removing })
    }

    /// How long a transaction of [`KEYS`] short strings takes, the shortest of a few.
    pub(super) async fn of_short_strings(mut self, parts: impl Fn() -> Vec<Part>) -> Option<Duration> {
        let mut shortest = None;
        for _ in 0..REFERENCES {
            let before = self.removing().await?;
            let began = Instant::now();
            for part in parts() {
                self.add(part).await?;
            }
            self.carry_out().await?;
            let took = self.transactions.last()?.at.duration_since(began);
            let took = took.saturating_sub(self.removing().await?.saturating_sub(before));
            shortest = Some(shortest.map_or(took, |shortest: Duration| shortest.min(took)));
        }
        shortest
    }

    /// How long the target has removed keys since it started; nothing if it does not tell.
    async fn removing(&mut self) -> Option<Duration> {
        let told = self.target.text(&["INFO", "commandstats"]).await.ok()?;
        Some(time_of_unlink(&told).unwrap_or_default())
    }

    async fn add(&mut self, mut part: Part) -> Option<()> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => {
                self.target.ask(&["MULTI"]).await.ok()?;
                Transaction::default()
            }
        };
        self.target.ask_batch(&mut part.commands).await.ok()?;
        open.numbers.append(&mut part.numbers);
        open.keys += part.keys;
        open.bytes += part.bytes;
        let is_full = open.is_full();
        self.open = Some(open);
        if is_full { self.carry_out().await } else { Some(()) }
    }

    /// Ends the transaction that is open.
    async fn carry_out(&mut self) -> Option<()> {
        let Some(transaction) = self.open.take() else { return Some(()) };
        let (keys, bytes) = (transaction.keys, transaction.bytes);
        let replies = self.target.ask_batch(&mut transaction.end(&mut self.names)).await.ok()?;
        let Some(Reply::Array(done)) = replies.last() else { return None };
        if done.iter().any(|reply| matches!(reply, Reply::Error(_))) {
            return None;
        }
        self.transactions.push(Carried { keys, bytes, at: Instant::now() });
        Some(())
    }
}

/// From a line such as `cmdstat_unlink:calls=2,usec=31,usec_per_call=15.50`.
fn time_of_unlink(info: &str) -> Option<Duration> {
    let counts = info.lines().find_map(|line| line.trim().strip_prefix("cmdstat_unlink:"))?;
    let micros = counts.split(',').find_map(|count| count.strip_prefix("usec="))?;
    Some(Duration::from_micros(micros.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_transaction_counts_only_if_it_is_alone() {
        let began = Instant::now();
        let carried = |keys, millis| Carried { keys, bytes: keys, at: began + Duration::from_millis(millis) };
        let rehearsed = |transactions: &[Carried], removing| Rehearsed {
            transactions: transactions.to_vec(),
            removing: Duration::from_millis(removing),
        };
        assert_eq!(rehearsed(&[], 0).pace(began), None);
        let alone = Pace { keys: 5, bytes: 5, time: Duration::from_millis(700) };
        assert_eq!(rehearsed(&[carried(5, 700)], 0).pace(began), Some(alone));
        let three = rehearsed(&[carried(5, 700), carried(5, 1000), carried(4, 1200)], 140);
        let later = Pace { keys: 9, bytes: 9, time: Duration::from_millis(500 - 90) };
        assert_eq!(three.pace(began), Some(later));
        let all = Pace { keys: 14, bytes: 14, time: Duration::from_millis(1200 - 140) };
        assert_eq!(three.whole(began), Some(all));
    }

    #[test]
    fn the_time_of_a_command() {
        let info = "# Commandstats\r\ncmdstat_ping:calls=1,usec=5\r\ncmdstat_unlink:calls=2,usec=31,usec_per_call=15.50\r\n";
        assert_eq!(time_of_unlink(info), Some(Duration::from_micros(31)));
        assert_eq!(time_of_unlink("cmdstat_ping:calls=1,usec=5"), None);
    }
}
