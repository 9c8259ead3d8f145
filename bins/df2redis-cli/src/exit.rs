//! Exit codes: one for each outcome that a script must distinguish (P34).

use std::io;
use std::process::ExitCode;

use dfly_replica::{Blame, Error};

use crate::cause::{self, Cause};
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
    /// Stopped before the target had everything.
    Unfinished(String),
    /// Writes go on at the source.
    Undone(String),
    /// It is safe to switch, and what was to be done then failed.
    HookFailed(String),
    /// The source was written to since it was safe.
    Withdrawn(String),
    /// The run is behind.
    Lagging(String),
    /// Something was found before a start that would end it, or keep it from its end.
    Blocked(String),
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

/// The exit codes, and what each means.
pub(crate) const CODES: [(u8, &str); 15] = [
    (0, "Done, or stopped with everything that was read on the target."),
    (1, "Failed: the source, the system or the program."),
    (2, "Wrong flags, variables or configuration file."),
    (3, "The comparison found differences."),
    (
        4,
        "Cannot resume from the stored positions: another source, other settings, or a refused command. `--force-resync` synchronises fully.",
    ),
    (
        5,
        "The target is unreachable, refused something, cannot hold a key, or holds keys and no setting says what to do with them.",
    ),
    (6, "A key is on both sides, and `--on-conflict` is panic."),
    (UNFINISHED, "Stopped before the target had everything that was read. The next run goes on."),
    (8, "Not everything could be compared, and what was is equal."),
    (9, "The run is behind, or waits for the target (`status`)."),
    (10, "Writes go on at the source, because something was in doubt (`cutover`)."),
    (11, "It is safe to switch, but `--hook-after` failed, and writes stay stopped (`cutover`)."),
    (12, "It was safe to switch, and is not any more (`cutover`)."),
    (
        13,
        "Something would end a run, or keep it from its end (`prepare`); `replicate` and `migrate` stop with it before their first write.",
    ),
    (130, "A second signal arrived: the run was ended at once."),
];

/// The exit codes for the help.
pub(crate) fn codes_in_words() -> String {
    let line = |(code, meaning): &(u8, &str)| format!("\n  {code:>3}  {}", meaning.replace('`', ""));
    CODES.iter().map(line).fold("Exit codes:".to_owned(), |text, line| text + &line)
}

impl Failure {
    /// The exit code, the cause and the line; `None`: nothing is said, and the code is 0.
    fn told(self) -> Option<(u8, Cause, String)> {
        match self {
            Self::Usage(line) => Some((2, cause::USAGE, line)),
            Self::Different(line) => Some((3, cause::DIFFERENT, line)),
            Self::Unfinished(line) => Some((UNFINISHED, cause::UNFINISHED, line)),
            Self::Undone(line) => Some((10, cause::UNDONE, line)),
            Self::HookFailed(line) => Some((11, cause::HOOK, line)),
            Self::Withdrawn(line) => Some((12, cause::WITHDRAWN, line)),
            Self::Lagging(line) => Some((9, cause::LAGGING, line)),
            Self::Blocked(line) => Some((13, cause::BLOCKED, line)),
            Self::Incomplete(line) => Some((8, cause::INCOMPLETE, line)),
            Self::Unsupported(line) => Some((5, cause::LOSS, line)),
            Self::OutputClosed => None,
            Self::Other(error) => Some((1, cause::SYSTEM, format!("{error:#}"))),
            Self::Replication(error) => {
                let code = match error.blame() {
                    Blame::Source => 1,
                    Blame::Resume => 4,
                    Blame::Target => 5,
                    Blame::Conflict => 6,
                    Blame::Unfinished => UNFINISHED,
                };
                let line = with_hint(&error, hints::hint(&error).as_deref());
                Some((code, cause::of(&error), line))
            }
        }
    }
}

/// Prints what went wrong in one line, and returns the exit code.
pub(crate) fn code(done: Result<(), Failure>, console: &Console) -> ExitCode {
    let Some((code, cause, line)) = done.err().and_then(Failure::told) else { return ExitCode::SUCCESS };
    match code {
        // Nothing went wrong: what is left is said.
        UNFINISHED => console.line(&line),
        _ => console.line(&format!("error: {line} [{cause}]")),
    }
    ExitCode::from(code)
}

/// An error, and what to do about it.
pub(crate) fn with_hint(error: &impl std::fmt::Display, hint: Option<&str>) -> String {
    hint.map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}"))
}
