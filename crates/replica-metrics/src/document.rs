//! The table as a document.

use std::fmt::Write as _;

use crate::table::METRICS;

/// The metrics as a table in Markdown.
pub fn markdown() -> String {
    let mut out = "| metric | type | labels | what it says |\n|---|---|---|---|\n".to_owned();
    for metric in METRICS {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let row = format_args!(
            "| `{}` | {} | {} | {} |\n",
            metric.sample_name(),
            metric.kind.word(),
            labels.join(", "),
            metric.help
        );
        out.write_fmt(row).unwrap_or_default();
    }
    out
}
