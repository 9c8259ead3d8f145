//! What to do about an error, in this tool's flags. The library says what is wrong, and knows no flags.

use std::borrow::Cow;

use dfly_replica::{Error, FlowError};
use dfly_translate::{Loss, TranslateError};

/// The flags that help against an error, as the end of its line.
pub(crate) fn hint(error: &Error) -> Option<Cow<'static, str>> {
    match error {
        Error::Flow { error: FlowError::TooLarge { memory_limit: Some(bytes), .. }, .. } => {
            Some(format!("--memory-limit {}MiB may be enough", bytes >> 20).into())
        }
        error => fixed(error).map(Cow::Borrowed),
    }
}

fn fixed(error: &Error) -> Option<&'static str> {
    match error {
        Error::NotEmpty { .. } => Some(
            "--on-start merge keeps those that the source does not have, mirror removes them when the snapshot is complete, flush empties the target first",
        ),
        Error::OtherSource { .. } | Error::OtherSettings { .. } | Error::RefusedBefore { .. } => {
            Some("--force-resync synchronises fully")
        }
        Error::NewSource(_) => Some("--on-new-source resync synchronises fully from it"),
        Error::InUse { .. } => Some("--force starts over even so"),
        Error::UnknownSharding => Some("see --on-start flush"),
        Error::OtherTask { .. } => Some("--task-name names the task"),
        Error::Unfit { reason, .. } if reason.contains("cluster") => {
            Some("--target-mode says what the target is")
        }
        Error::Flow { error, .. } => of_flow(error),
        _ => None,
    }
}

fn of_flow(error: &FlowError) -> Option<&'static str> {
    match error {
        FlowError::TooLarge { .. } => Some("--memory-limit sets it"),
        FlowError::Translate(error) | FlowError::Record { error, .. } => of_translation(error),
        FlowError::Unreadable { .. } => Some(LEAVES_OUT),
        FlowError::Target(error) => fixed(error),
        _ => None,
    }
}

/// The flag that leaves out what the target cannot hold.
pub(crate) const LEAVES_OUT: &str = "--on-unsupported warn or skip leaves it out";

/// The same for what cannot be translated.
pub(crate) fn of_translation(error: &TranslateError) -> Option<&'static str> {
    match error {
        TranslateError::Unsupported { loss: Loss::Unknown, .. } => Some(
            "--command-alias ALIAS=COMMAND names the command that it stands for; --on-unsupported warn or skip leaves it out",
        ),
        TranslateError::Unsupported { .. } => Some(LEAVES_OUT),
        TranslateError::Database { .. } => {
            Some("--map-db N=skip leaves a database of the source out, N=0 adds it to database 0")
        }
        TranslateError::TooLarge { .. } => Some("--memory-limit sets this limit"),
        _ => None,
    }
}
