//! Exit codes, one for each thing that a script has to tell apart (P34).

use std::io;
use std::process::ExitCode;

use dfly_replica::{Blame, Error};

use crate::console::Console;

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong flags or configuration.
    Usage(String),
    /// The replication ended with an error.
    Replication(Box<Error>),
    /// The comparison found differences.
    Different(String),
    /// The target cannot hold something, and was not to do without it.
    Unsupported(String),
    /// Whoever read the output has enough of it.
    OutputClosed,
    /// Anything else.
    Other(anyhow::Error),
}

impl Failure {
    /// A failed write to standard output.
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

/// Says what went wrong, in one line, and gives the exit code.
pub(crate) fn code(done: Result<(), Failure>, console: &Console) -> ExitCode {
    let Err(failure) = done else { return ExitCode::SUCCESS };
    let (code, line) = match failure {
        Failure::Usage(line) => (2, line),
        Failure::Different(line) => (3, line),
        Failure::Unsupported(line) => (5, line),
        Failure::OutputClosed => return ExitCode::SUCCESS,
        Failure::Other(error) => (1, format!("{error:#}")),
        Failure::Replication(error) => {
            let code = match error.blame() {
                Blame::Source => 1,
                Blame::Resume => 4,
                Blame::Target => 5,
                Blame::Conflict => 6,
            };
            (code, error.to_string())
        }
    };
    console.line(&format!("error: {line}"));
    ExitCode::from(code)
}
