//! Writes what was found to standard output.

use std::io::{BufWriter, Write};

use dfly_check::{Report, ReportError, Store, Summary};

use super::flags::ReportFormat;
use crate::exit::Failure;

/// Writes the findings of a file, and gives the result.
pub(super) fn show(store: &Store, (format, list): (ReportFormat, usize)) -> Result<Summary, Failure> {
    let report = Report::of(store).map_err(failure)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    match format {
        ReportFormat::Text => report.write_text(&mut out, list).map_err(failure)?,
        ReportFormat::Json => report.write_json(&mut out).map_err(failure)?,
    }
    out.flush().map_err(Failure::of_output)?;
    Ok(report.summary().clone())
}

fn failure(error: ReportError) -> Failure {
    match error {
        ReportError::Output(error) => Failure::of_output(error),
        error => Failure::Other(error.into()),
    }
}
