//! What the differential campaign says of its sequences.

/// The first difference that it could not explain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    /// The seed of its sequence.
    pub seed: u64,
    /// The least commands that lead to it.
    pub commands: Vec<String>,
}

/// The difference in what a failed campaign printed, as `seed 7: SET a 1 ; DEL a`.
pub(super) fn difference(output: &str) -> Option<Difference> {
    output.lines().find_map(|line| {
        let (seed, commands) = line.strip_prefix("seed ")?.split_once(": ")?;
        let commands = commands.split(" ; ").map(str::to_owned).collect();
        Some(Difference { seed: seed.parse().ok()?, commands })
    })
}

/// How many sequences were tried, as `300 sequences, 1 differ, 1 unexplained; ..` says.
pub(super) fn tried(output: &str) -> Option<u64> {
    output.lines().find_map(|line| {
        let (count, rest) = line.split_once(" sequences, ")?;
        // The test runner may have begun the line.
        let count = count.rsplit(' ').next()?;
        rest.contains(" differ, ").then(|| count.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: &str = "
running 1 test
test random_sequences ... 200 sequences, 2 differ, 1 unexplained; 5310 records, refetched {Stored: 7}

thread 'random_sequences' (71) panicked at crates/dfly-check/tests/differential/main.rs:70:5:
1 unexplained:
seed 118: SET a{118} \"two words\" ; MULTI ; EXPIRE a{118} 500 ; EXEC
    0 a{118} expires at 5, on the target never
  journal
    db0 SET a{118} two\\x20words
seed 119: DEL a{119}
";

    #[test]
    fn a_campaign_that_found_something() {
        let found = difference(FAILED).unwrap();
        assert_eq!(found.seed, 118);
        let commands = ["SET a{118} \"two words\"", "MULTI", "EXPIRE a{118} 500", "EXEC"];
        assert_eq!(found.commands, commands);
        assert_eq!(tried(FAILED), Some(200));
    }

    #[test]
    fn a_campaign_that_found_nothing() {
        for (output, count) in [
            ("3000 sequences, 4 differ, 0 unexplained; 9 records, refetched {}\n", Some(3000)),
            ("skipped: differential needs DF2REDIS_DRAGONFLY=/path/to/dragonfly\n", None),
            ("a synchronisation: not caught up\nseed of doubt: none\nseed x: DEL a\n", None),
            ("", None),
        ] {
            assert_eq!((difference(output), tried(output)), (None, count), "{output}");
        }
    }
}
