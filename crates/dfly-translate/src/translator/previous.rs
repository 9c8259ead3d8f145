//! The record before this one: a command of the source that is journaled as two records shows only by both.

use bytes::Bytes;
use dfly_journal::{Command, TxId};
use dfly_wire::DbIndex;

/// The record before, if it may be the first half of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Previous {
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

impl Previous {
    pub(crate) fn of(record: &Command) -> Option<Self> {
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

    /// Whether it and `record` may be the halves of one command on one key.
    pub(crate) fn is_first_half(&self, half: Half, record: &Command) -> bool {
        self.half == half
            && self.db == record.db
            && self.txid == record.txid
            && record.args.get(1) == Some(&self.key[..])
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

    #[test]
    fn halves_of_one_command() {
        let after = |first: &str, half| {
            let second = record("ZADD k 1 a", 3);
            Previous::of(&record(first, 3)).is_some_and(|first| first.is_first_half(half, &second))
        };
        assert!(after("DEL k", Half::Deletes) && after("LPOP k", Half::Pops) && after("RPOP k", Half::Pops));
        for other in ["DEL j", "DEL k j", "LPOP k 2", "GETDEL k"] {
            assert!(!after(other, Half::Deletes) && !after(other, Half::Pops), "{other}");
        }
        let first = Previous::of(&record("DEL k", 4)).unwrap();
        assert!(!first.is_first_half(Half::Deletes, &record("ZADD k 1 a", 3)), "another transaction");
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
