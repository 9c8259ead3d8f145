//! Whose fault an error is.

use dfly_translate::TranslateError;

use crate::error::{Error, FlowError};

/// Whose fault an error is; decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The source, the network, or this tool.
    Source,
    /// The target refused something or cannot hold it.
    Target,
    /// The run cannot resume where it stood.
    Resume,
    /// A key is on both sides, and the user wants to decide.
    Conflict,
    /// Nobody's: the run was told to stop before the target had everything.
    Unfinished,
}

impl Error {
    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Flow {
                error:
                    FlowError::Translate(TranslateError::Conflict { .. })
                    | FlowError::Record { error: TranslateError::Conflict { .. }, .. },
                ..
            } => Blame::Conflict,
            Self::Target(_)
            | Self::Cluster(_)
            | Self::Replaced(_)
            | Self::NotSafe(_)
            | Self::Unfit { .. }
            | Self::Lacks { .. }
            | Self::TooFewClients { .. }
            | Self::Checkpoint { .. }
            | Self::TargetAnswer { .. }
            | Self::NotEmpty { .. }
            | Self::KeysOfOthers { .. }
            | Self::NoDatabase { .. }
            | Self::InUse { .. }
            | Self::OtherTask { .. }
            | Self::Overtaken
            | Self::Flow {
                error:
                    FlowError::Sink(_)
                    | FlowError::Cluster(_)
                    | FlowError::Translate(_)
                    | FlowError::Record { .. }
                    | FlowError::Refused(_)
                    | FlowError::BreaksConnection { .. }
                    | FlowError::DrainTimeout { .. },
                ..
            } => Blame::Target,
            Self::GaveUp { peer: "target", .. } => Blame::Target,
            Self::Flow { error: FlowError::Target(error), .. } => error.blame(),
            Self::LeftOnDisk { .. } | Self::LeftUnknown { .. } => Blame::Unfinished,
            Self::CannotResume { .. }
            | Self::AheadOfSource
            | Self::Diverged { .. }
            | Self::OtherSource { .. }
            | Self::NewSource(_)
            | Self::TooManyRemovals { .. }
            | Self::OtherSettings { .. }
            | Self::RefusedBefore { .. } => Blame::Resume,
            Self::Source(_)
            | Self::Flow { .. }
            | Self::TooFewDescriptors { .. }
            | Self::UnknownSharding
            | Self::GaveUp { .. }
            | Self::Barrier(_)
            | Self::SourceAnswer { .. }
            | Self::RelayLog { .. }
            | Self::State(_)
            | Self::Internal(_) => Blame::Source,
        }
    }
}
