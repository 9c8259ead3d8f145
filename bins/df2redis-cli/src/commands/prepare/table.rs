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
        for finding in of_side {
            out += &line(finding, width);
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

fn line(finding: &Finding, width: usize) -> String {
    let mark = match finding.severity {
        Severity::Ok => "ok",
        Severity::Warning => "WARNING",
        Severity::Blocker => "BLOCKER",
    };
    let first = format!("{mark:<MARK$}{:<NAME$} ", finding.check.name());
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
