//! What has changed since the baseline.

use std::collections::BTreeSet;
use std::fmt;

use super::Counts;

/// A rise beyond so many of a thousand is too much.
const TOO_MUCH: u64 = 30;

/// One bench.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    name: String,
    baseline: Option<u64>,
    now: Option<u64>,
}

/// All benches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comparison(Vec<Row>);

impl Comparison {
    pub(super) fn new(baseline: &Counts, now: &Counts) -> Self {
        let names: BTreeSet<&String> = baseline.keys().chain(now.keys()).collect();
        let row = |name: &String| Row {
            name: name.clone(),
            baseline: baseline.get(name).copied(),
            now: now.get(name).copied(),
        };
        Self(names.into_iter().map(row).collect())
    }

    /// Whether all benches of the baseline were counted, and none has risen too much. A bench that the baseline does not
    /// know is no reason to fail.
    pub(super) fn is_good(&self) -> bool {
        self.0.iter().all(|row| !row.has_risen() && !row.is_gone())
    }

    /// In words, with what to do.
    pub(super) fn verdict(&self) -> String {
        let names = |of: fn(&Row) -> bool| {
            let names: Vec<&str> = self.0.iter().filter(|row| of(row)).map(|row| row.name.as_str()).collect();
            names.join(", ")
        };
        let save = "`make bench-instructions SAVE=1` writes these numbers down.";
        let said = [
            ("More than 3 % above the baseline", names(Row::has_risen), "If the change is worth that,"),
            ("In the baseline, but not counted", names(Row::is_gone), "If that is meant,"),
            ("Not in the baseline, so not compared", names(Row::is_new), "When the others are good,"),
        ];
        let said = said.iter().filter(|(_, names, _)| !names.is_empty());
        let said: String =
            said.map(|(what, names, when)| format!("{what}: {names}. {when} {save}\n")).collect();
        if said.is_empty() { "No bench has risen by more than 3 %.\n".to_owned() } else { said }
    }
}

impl Row {
    fn has_risen(&self) -> bool {
        let (Some(baseline), Some(now)) = (self.baseline, self.now) else { return false };
        u128::from(now) * 1000 > u128::from(baseline) * u128::from(1000 + TOO_MUCH)
    }

    fn is_gone(&self) -> bool {
        self.now.is_none()
    }

    fn is_new(&self) -> bool {
        self.baseline.is_none()
    }

    fn change(&self) -> String {
        match (self.baseline, self.now) {
            (Some(baseline), Some(now)) => format!("{:+.2} %", 100.0 * (now as f64 / baseline as f64 - 1.0)),
            _ => "-".to_owned(),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
        writeln!(f, "{:54} {:>13} {:>13} {:>9}", "bench", "baseline", "now", "change")?;
        for row in &self.0 {
            let (baseline, now) = (count(row.baseline), count(row.now));
            writeln!(f, "{:54} {baseline:>13} {now:>13} {:>9}", row.name, row.change())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(counts: &[(&str, u64)]) -> Counts {
        counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    fn compared(baseline: &[(&str, u64)], now: &[(&str, u64)]) -> Comparison {
        Comparison::new(&counts(baseline), &counts(now))
    }

    #[test]
    fn more_than_three_percent_is_too_much() {
        assert!(compared(&[("a", 1000), ("b", 1000)], &[("a", 1030), ("b", 10)]).is_good());
        let risen = compared(&[("a", 1000), ("b", 1000)], &[("a", 1031), ("b", 1000)]);
        assert!(!risen.is_good());
        assert!(risen.verdict().starts_with("More than 3 % above the baseline: a."), "{}", risen.verdict());
    }

    #[test]
    fn a_bench_that_is_not_counted_any_more_is_no_success() {
        let gone = compared(&[("a", 1000), ("b", 1000)], &[("a", 1000)]);
        assert!(!gone.is_good());
        assert!(gone.verdict().starts_with("In the baseline, but not counted: b."), "{}", gone.verdict());
    }

    #[test]
    fn a_new_bench_is_named_and_passes() {
        let new = compared(&[("a", 1000)], &[("a", 1000), ("b", 5)]);
        assert!(new.is_good());
        assert!(new.verdict().starts_with("Not in the baseline, so not compared: b."), "{}", new.verdict());
        assert_eq!(compared(&[("a", 1)], &[("a", 1)]).verdict(), "No bench has risen by more than 3 %.\n");
    }

    #[test]
    fn the_table_has_a_row_for_each_bench() {
        let table = compared(&[("a", 1000), ("gone", 7)], &[("a", 985), ("new", 5)]).to_string();
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[1], ["a", "1000", "985", "-1.50", "%"]);
        assert_eq!(rows[2], ["gone", "7", "-", "-"]);
        assert_eq!(rows[3], ["new", "-", "5", "-"]);
    }
}
