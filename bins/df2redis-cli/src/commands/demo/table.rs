//! The result of a demo, as a table by type.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use dfly_replica::Report;
use dfly_testkit::{Comparison, Row};

use crate::exit::Failure;

/// Whether the target holds what the master does.
pub(super) fn verdict(comparison: &Comparison) -> Result<(), Failure> {
    match comparison.differences.len() {
        0 => Ok(()),
        keys => Err(Failure::Different(format!("{keys} keys differ from those of the master"))),
    }
}

/// Prints a table by type: the keys that the master held, and how many of them are equal, left out and different.
pub(super) fn show(report: &Report, comparison: &Comparison, rows: &[Row]) -> std::io::Result<()> {
    let different = different_by_type(comparison, rows);
    let kinds: BTreeSet<&String> = comparison.compared.keys().chain(comparison.skipped.keys()).collect();
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{:<12} {:>8} {:>8} {:>10} {:>10}", "type", "held", "equal", "left out", "different")?;
    let mut total = [0; 4];
    for kind in kinds {
        let count = |counts: &BTreeMap<String, usize>| counts.get(kind).copied().unwrap_or(0);
        let (compared, left_out, differ) =
            (count(&comparison.compared), count(&comparison.skipped), count(&different));
        let row = [compared + left_out, compared - differ, left_out, differ];
        table_row(&mut out, kind, row)?;
        total = std::array::from_fn(|i| total.get(i).unwrap_or(&0) + row.get(i).unwrap_or(&0));
    }
    table_row(&mut out, "all", total)?;
    let (keys, records, flows) = (report.keys(), report.records(), report.flows.len());
    writeln!(out, "\n{flows} flows delivered {keys} keys of the snapshot and {records} journal records.")?;
    if !report.losses.is_empty() {
        writeln!(out, "Left out, because a Redis without modules cannot hold it: {}.", report.losses)?;
    }
    for difference in &comparison.differences {
        writeln!(out, "different: {difference}")?;
    }
    let verdict = if comparison.is_equal() { "holds" } else { "does not hold" };
    writeln!(out, "The Redis {verdict} what the Dragonfly held.")
}

fn table_row(
    out: &mut impl Write,
    name: &str,
    [held, equal, left_out, different]: [usize; 4],
) -> std::io::Result<()> {
    writeln!(out, "{name:<12} {held:>8} {equal:>8} {left_out:>10} {different:>10}")
}

/// Counts different keys by their type on the master. Keys that the master did not hold count as `none`.
fn different_by_type(comparison: &Comparison, rows: &[Row]) -> BTreeMap<String, usize> {
    let types: BTreeMap<_, _> = rows.iter().map(|row| ((row.db, &row.key), row.value.type_name())).collect();
    let keys: BTreeSet<_> = comparison.differences.iter().map(|d| (d.db, &d.key)).collect();
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(types.get(&key).copied().unwrap_or("none").to_owned()).or_default() += 1;
    }
    counts
}
