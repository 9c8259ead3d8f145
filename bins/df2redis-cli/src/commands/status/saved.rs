//! What the last run has saved, when none answers.

use std::fmt::Write as _;

use dfly_replica::SavedState;

use super::screen::time;

pub(super) fn screen(state: &SavedState, now: i64) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        out.write_fmt(format_args!("{name:<13}{value}\n")).unwrap_or_default();
    };
    let age = u64::try_from(now.saturating_sub(state.written_at_ms)).unwrap_or(0);
    line("phase", format!("{}, when it was saved {} ago", state.phase, time(age)));
    for (nth, flow) in state.flows.iter().enumerate() {
        let stored = flow.durable_lsn.map_or("none".to_owned(), |lsn| lsn.to_string());
        line(
            &format!("flow {nth}"),
            format!("position {stored}, {} keys, {} records", flow.keys, flow.records),
        );
    }
    out
}
