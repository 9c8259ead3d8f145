//! How a session ends, and why.

use dfly_client::FlowId;
use dfly_translate::Flush;

use crate::error::FlowError;
use crate::source::identity::Changed;
use crate::target::trouble::TargetTrouble;

/// How a session ended without an error.
#[derive(Debug)]
pub(crate) enum SessionEnd {
    /// It was told to stop, and left so many records on disk that the target may lack.
    Stopped { on_disk: u64 },
    /// The source is gone; `is_stable`: in stable sync. `was_handed_over`: to another master, in order. So many records
    /// are on disk that the target may lack.
    SourceLost { is_stable: bool, was_handed_over: bool, on_disk: u64, cause: SourceLoss },
    /// The target is gone, or holds less than it had answered.
    TargetLost(TargetTrouble),
    /// The source was flushed while its snapshot was read: the target is to be flushed and the sync to be repeated.
    Flushed(Flush),
}

/// Why a session is coming to its end. The first cause counts, but for one that is more than a loss.
#[derive(Debug, Default)]
pub(super) enum Ending {
    #[default]
    Running,
    Stopped,
    SourceLost(SourceLoss),
    TargetLost(TargetTrouble),
    Flushed(Flush),
}

/// Why a source is not followed any longer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceLoss {
    /// It is gone, or does not answer.
    #[error("the source is gone: {0}")]
    Gone(String),
    /// It has said why it ends a flow.
    #[error("the source ends the replication: {0}")]
    Ended(String),
    /// It has sent nothing of this flow's snapshot for so many seconds.
    #[error("the source has sent nothing of flow {0}'s snapshot for {1} s")]
    Silent(FlowId, u64),
    /// The relay log of this flow is full: the source is left, so that it does not wait.
    #[error(
        "the relay log of flow {0} is full, so the source is left: the target does not take what the source writes"
    )]
    RelayFull(FlowId),
    /// It is not what it was.
    #[error(transparent)]
    Changed(#[from] Changed),
}

impl SourceLoss {
    pub(super) fn gone(error: impl std::fmt::Display) -> Self {
        Self::Gone(error.to_string())
    }

    /// What has ended a flow.
    pub(super) fn of_flow(error: FlowError) -> Self {
        match error {
            FlowError::SourceLine(line) => Self::Ended(line),
            error => Self::gone(error),
        }
    }
}

impl Ending {
    /// A source that ends one flow closes the others, and whichever hears of it first only knows that it is gone.
    pub(super) fn lose_source(&mut self, cause: SourceLoss) {
        let says_more = !matches!(cause, SourceLoss::Gone(_));
        match self {
            Self::Running => *self = Self::SourceLost(cause),
            Self::SourceLost(SourceLoss::Gone(_)) if says_more => *self = Self::SourceLost(cause),
            _ => {}
        }
    }

    /// A target that is lost outlasts a source that is gone: what is on its way there is not durable. What is known of a source
    /// that is not gone is kept.
    pub(super) fn lose_target(&mut self, cause: TargetTrouble) {
        if let Self::Running
        | Self::SourceLost(SourceLoss::Gone(_) | SourceLoss::Ended(_) | SourceLoss::Silent(..)) = self
        {
            *self = Self::TargetLost(cause);
        }
    }

    pub(super) fn is_source_lost(&self) -> bool {
        matches!(self, Self::SourceLost(_))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_cause_that_says_most_is_kept() {
        let gone = || SourceLoss::of_flow(FlowError::Source(io::ErrorKind::UnexpectedEof.into()));
        let ended = || SourceLoss::of_flow(FlowError::SourceLine("ERR bye".to_owned()));
        for causes in [[gone(), ended()], [ended(), gone()]] {
            let mut ending = Ending::Running;
            causes.into_iter().for_each(|cause| ending.lose_source(cause));
            let Ending::SourceLost(cause) = ending else { panic!("{ending:?}") };
            assert_eq!(cause.to_string(), "the source ends the replication: ERR bye");
        }
    }
}
