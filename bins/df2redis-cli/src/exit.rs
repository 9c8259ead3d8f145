//! Exit codes: one for each outcome that a script must distinguish (P34).

use std::io;
use std::process::ExitCode;

use dfly_replica::{Blame, Error};

use crate::console::Console;
use crate::hints;

/// The run was stopped before the target had everything.
const UNFINISHED: u8 = 7;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong flags or configuration.
    Usage(String),
    /// The replication ended with an error.
    Replication(Box<Error>),
    /// The comparison found differences.
    Different(String),
    /// Nothing was found that differs, but not everything could be compared.
    Incomplete(String),
    /// The target cannot hold something, and the policy is to fail.
    Unsupported(String),
    /// The reader of the output has closed it.
    OutputClosed,
    /// Anything else.
    Other(anyhow::Error),
}

impl Failure {
    /// The failure for a failed write to standard output.
    pub(crate) fn of_output(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Other(anyhow::Error::new(error).context("cannot write the output")),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Replication(Box::new(error))
    }
}

/// Prints what went wrong in one line, and returns the exit code.
pub(crate) fn code(done: Result<(), Failure>, console: &Console) -> ExitCode {
    let Err(failure) = done else { return ExitCode::SUCCESS };
    let (code, line) = match failure {
        Failure::Usage(line) => (2, line),
        Failure::Different(line) => (3, line),
        Failure::Incomplete(line) => (8, line),
        Failure::Unsupported(line) => (5, line),
        Failure::OutputClosed => return ExitCode::SUCCESS,
        Failure::Other(error) => (1, format!("{error:#}")),
        // Nothing went wrong: what is left is said.
        Failure::Replication(error) if error.blame() == Blame::Unfinished => {
            console.line(&error.to_string());
            return ExitCode::from(UNFINISHED);
        }
        Failure::Replication(error) => {
            let code = match error.blame() {
                Blame::Source => 1,
                Blame::Resume => 4,
                Blame::Target => 5,
                Blame::Conflict => 6,
                Blame::Unfinished => UNFINISHED,
            };
            (code, with_hint(&error, hints::hint(&error).as_deref()))
        }
    };
    console.line(&format!("error: {line}"));
    ExitCode::from(code)
}

/// An error, and what to do about it.
pub(crate) fn with_hint(error: &impl std::fmt::Display, hint: Option<&str>) -> String {
    hint.map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}"))
}
