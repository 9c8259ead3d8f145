//! The report as a table: what blocks and what warns is told whole, what is well in a line.

use dfly_prepare::{Finding, Report, Severity, Side};

/// The widest that a table is.
const WIDEST: usize = 100;

/// The narrowest.
const NARROWEST: usize = 60;

/// Columns of severity and name.
const MARK: usize = 9;
const NAME: usize = 21;

/// The columns of the terminal, within bounds; the widest if there is none.
pub(super) fn width() -> usize {
    let columns = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    if columns == 0 { WIDEST } else { columns.clamp(NARROWEST, WIDEST) }
}

/// The whole report.
pub(super) fn text(report: &Report, width: usize) -> String {
    let mut out = heading(report, width);
    for side in [Side::Source, Side::Target, Side::Between, Side::Host] {
        let of_side: Vec<&Finding> = report.findings.iter().filter(|finding| finding.side == side).collect();
        if of_side.is_empty() {
            continue;
        }
        out += &format!("\n{}\n", title(side));
        let mut last = None;
        for finding in of_side {
            out += &line(finding, last == Some(finding.check), width);
            last = Some(finding.check);
        }
    }
    out + &verdict(report)
}

fn heading(report: &Report, width: usize) -> String {
    let release = report.release.as_deref().map_or_else(String::new, |release| format!(", {release}"));
    let flows = report.flows.map_or_else(String::new, |flows| format!(", {flows} flows"));
    let lines = [format!("{}{release}{flows}", report.source), report.target.clone()];
    let named = ["source", "target"]
        .iter()
        .zip(&lines)
        .map(|(name, line)| wrapped(line, &format!("{name:<MARK$}"), width));
    named.collect()
}

fn title(side: Side) -> &'static str {
    match side {
        Side::Source => "SOURCE",
        Side::Target => "TARGET",
        Side::Between => "BETWEEN THEM",
        Side::Host => "THIS HOST",
    }
}

/// A check that has found several things is named once.
fn line(finding: &Finding, is_named: bool, width: usize) -> String {
    let mark = match finding.severity {
        Severity::Ok => "ok",
        Severity::Warning => "WARNING",
        Severity::Blocker => "BLOCKER",
    };
    let name = if is_named { "" } else { finding.check.name() };
    let first = format!("{mark:<MARK$}{name:<NAME$} ");
    let told = wrapped(&sentence(&finding.means), &first, width);
    match &finding.remedy {
        Some(remedy) => told + &wrapped(&sentence(remedy), &format!("{:<1$}> ", "", MARK + NAME - 1), width),
        None => told,
    }
}

/// With a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    // The name of a flag stays as it is.
    let whole = if text.starts_with("--") { text.to_owned() } else { first + characters.as_str() };
    if whole.ends_with('.') { whole } else { whole + "." }
}

/// Words in lines of this width, the first behind `first`, the others indented as far.
fn wrapped(text: &str, first: &str, width: usize) -> String {
    let (indent, mut out) = (first.chars().count(), first.to_owned());
    let mut column = indent;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > indent && column + 1 + length > width {
            out += &format!("\n{:<indent$}", "");
            column = indent;
        }
        if column > indent {
            out.push(' ');
            column += 1;
        }
        out += word;
        column += length;
    }
    out.push('\n');
    out
}

fn verdict(report: &Report) -> String {
    let warnings = match report.warnings {
        0 => "no warnings".to_owned(),
        1 => "1 warning".to_owned(),
        warnings => format!("{warnings} warnings"),
    };
    match report.blockers {
        0 => format!("\nA run can begin: {warnings}. {:.1} s; nothing was copied.\n", report.seconds),
        1 => format!(
            "\nA run cannot come to its end: 1 blocker, {warnings}. {:.1} s; nothing was copied.\n",
            report.seconds
        ),
        blockers => format!(
            "\nA run cannot come to its end: {blockers} blockers, {warnings}. {:.1} s; nothing was copied.\n",
            report.seconds
        ),
    }
}

#[cfg(test)]
mod tests {
    use dfly_prepare::Check;

    use super::*;
    use crate::screens;

    fn report(findings: Vec<Finding>) -> Report {
        let number =
            |severity| findings.iter().filter(|finding: &&Finding| finding.severity == severity).count();
        Report {
            source: "db.example:6379".to_owned(),
            target: "new.example:6379".to_owned(),
            release: Some("df-v1.40.1".to_owned()),
            flows: Some(8),
            estimates: None,
            blockers: number(Severity::Blocker),
            warnings: number(Severity::Warning),
            seconds: 1.84,
            findings,
        }
    }

    fn findings() -> Vec<Finding> {
        vec![
            Finding::ok(
                Check::SourceRelease,
                "It is df-v1.40.1, the release that everything was tried with.",
            ),
            Finding::warning(
                Check::SourceCommands,
                "The user of the source may not use DUMP (to read keys again). Without it, keys that have to be refetched fall under --on-unsupported (unreadable-key).",
                "grant it +DUMP",
            ),
            Finding::ok(Check::TargetKind, "It is Redis 7.0.15."),
            Finding::blocker(
                Check::TargetMemory,
                "The target needs about 3.1 GiB for what the source holds, and has 1.9 GiB free of 2.0 GiB (maxmemory). It would refuse writes in the middle of the snapshot (OOM).",
                "raise its maxmemory, or leave keys out (--block-keys, --map-db)",
            ),
            Finding::blocker(
                Check::UnsupportedTypes,
                "The source has about 1200 keys of type ReJSON-RL, which the target cannot be given (it lacks the module), and --on-unsupported is fail: the run would stop at the first.",
                "--on-unsupported json=warn leaves them out and tells it, json=skip leaves them out, json=string copies their text",
            ),
            Finding::blocker(
                Check::UnsupportedTypes,
                "The source has 3 keys of type MBbloom--, which the target cannot be given (it lacks the module), and --on-unsupported is fail: the run would stop at the first.",
                "--on-unsupported bloom=warn leaves them out and tells it, bloom=skip leaves them out",
            ),
            Finding::ok(Check::StateDir, "80.2 GiB are free under state."),
        ]
    }

    #[test]
    fn it_fits_the_terminal() {
        for width in [80, 100] {
            let shown = text(&report(findings()), width);
            assert!(shown.lines().all(|line| line.chars().count() <= width), "{shown}");
            screens::check(&format!("prepare-{width}.txt"), &shown);
        }
    }
}
