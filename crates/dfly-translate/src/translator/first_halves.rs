//! A command of the source that is journaled as two records shows only by both. So it is remembered which first halves came
//! last.
//!
//! The second half is the next record of its flow. Between the two, records of other keys may be carried out that came earlier
//! and had to wait; and a flow may resume between them.

use bytes::Bytes;
use dfly_journal::{Command, TxId};
use dfly_wire::DbIndex;

/// The first halves whose second half may be next.
#[derive(Debug, Default)]
pub(crate) struct FirstHalves {
    /// That of the last record of the journal, and those of records that waited and were carried out since: one a key.
    open: Vec<FirstHalf>,
    /// The record before the next is not known.
    is_unknown: bool,
}

impl FirstHalves {
    /// The next record may be a second half of any kind.
    pub(crate) fn forget(&mut self) {
        self.open.clear();
        self.is_unknown = true;
    }

    /// This record was the last of the journal.
    pub(crate) fn follow(&mut self, record: &Command) {
        self.open.clear();
        self.is_unknown = false;
        self.open.extend(FirstHalf::of(record));
    }

    /// This record had waited, and was the last of its key.
    pub(crate) fn follow_waiting(&mut self, record: &Command) {
        self.open.retain(|first| !first.is_of_key(record));
        self.open.extend(FirstHalf::of(record));
    }

    /// Whether `record` may be the second half of a command whose first half is `half`.
    pub(crate) fn may_end_with(&self, half: Half, record: &Command) -> bool {
        self.is_unknown || self.open.iter().any(|first| first.half == half && first.begins(record))
    }
}

/// A record that may be the first half of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FirstHalf {
    half: Half,
    db: DbIndex,
    txid: TxId,
    key: Bytes,
}

/// What a first half does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    /// `DEL key`, of a command that stores a sorted set.
    Deletes,
    /// `LPOP key` or `RPOP key`, of a command that moves an element.
    Pops,
}

impl FirstHalf {
    fn of(record: &Command) -> Option<Self> {
        if record.args.len() != 2 {
            return None;
        }
        let half = match record.args.name() {
            b"DEL" => Half::Deletes,
            b"LPOP" | b"RPOP" => Half::Pops,
            _ => return None,
        };
        Some(Self { half, db: record.db, txid: record.txid, key: record.args.shared(1)? })
    }

    fn is_of_key(&self, record: &Command) -> bool {
        self.db == record.db && record.args.get(1) == Some(&self.key[..])
    }

    /// Whether it and `record` may be the halves of one command.
    fn begins(&self, record: &Command) -> bool {
        self.txid == record.txid && self.is_of_key(record)
    }
}

/// Whether a text may be a number that was printed with six significant digits, as C's `%g` prints it.
pub(crate) fn has_six_digits(score: &[u8]) -> bool {
    let mantissa = score.split(|byte| byte.eq_ignore_ascii_case(&b'e')).next().unwrap_or_default();
    let digits =
        mantissa.iter().filter(|byte| byte.is_ascii_digit()).skip_while(|byte| **byte == b'0').count();
    let is_spelled_so = mantissa.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
        || matches!(score, b"inf" | b"-inf");
    digits <= 6 && is_spelled_so
}

#[cfg(test)]
mod tests {
    use dfly_journal::Args;

    use super::*;

    fn record(line: &str, txid: u64) -> Command {
        let words: Vec<&str> = line.split(' ').collect();
        Command { db: DbIndex(0), txid: TxId(txid), args: Args::of(&words) }
    }

    fn after(first: &str) -> FirstHalves {
        let mut halves = FirstHalves::default();
        halves.follow(&record(first, 3));
        halves
    }

    #[test]
    fn halves_of_one_command() {
        let second = record("ZADD k 1 a", 3);
        for (first, half) in [("DEL k", Half::Deletes), ("LPOP k", Half::Pops), ("RPOP k", Half::Pops)] {
            assert!(after(first).may_end_with(half, &second), "{first}");
        }
        for other in ["DEL j", "DEL k j", "LPOP k 2", "GETDEL k"] {
            let halves = after(other);
            assert!(
                [Half::Deletes, Half::Pops].iter().all(|half| !halves.may_end_with(*half, &second)),
                "{other}"
            );
        }
        assert!(!after("DEL k").may_end_with(Half::Deletes, &record("ZADD k 1 a", 4)), "another transaction");
    }

    #[test]
    fn records_of_other_keys_that_waited_come_between() {
        let mut halves = after("DEL k");
        ["DEL j", "ZADD j 1 a", "DEL i"].iter().for_each(|line| halves.follow_waiting(&record(line, 3)));
        let ends = |line: &str| halves.may_end_with(Half::Deletes, &record(line, 3));
        assert_eq!(["ZADD k 1 a", "ZADD j 1 a", "ZADD i 1 a"].map(ends), [true, false, true]);
        halves.follow(&record("SET other 1", 0));
        assert!(!halves.may_end_with(Half::Deletes, &record("ZADD i 1 a", 3)));
    }

    #[test]
    fn nothing_is_known_of_the_record_before_the_first() {
        let mut halves = FirstHalves::default();
        halves.forget();
        assert!(halves.may_end_with(Half::Deletes, &record("ZADD k 1 a", 3)));
        halves.follow(&record("ZADD k 1 a", 3));
        assert!(!halves.may_end_with(Half::Deletes, &record("ZADD k 1 a", 3)));
    }

    #[test]
    fn scores_of_six_digits() {
        for score in
            ["1", "0", "-1.5", "1.23457e+06", "123456", "0.00012345", "inf", "-inf", "1e+20", "100000"]
        {
            assert!(has_six_digits(score.as_bytes()), "{score}");
        }
        for score in ["1234567", "1.234567", "0.1234567", "NX", "CH", "1234567.891", "GT"] {
            assert!(!has_six_digits(score.as_bytes()), "{score}");
        }
    }
}
