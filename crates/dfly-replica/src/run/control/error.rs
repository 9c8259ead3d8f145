//! Why a request to a run comes to nothing.

use thiserror::Error;

/// Why a request came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The run has ended.
    #[error("the run has ended")]
    Ended,
    /// There is no session with the source now, or it has ended before the answer came.
    #[error("there is no session with the source now")]
    NoSession,
    /// The source refuses.
    #[error("the source refuses: {0}")]
    Refused(String),
    /// Too many keys in one request.
    #[error("at most {most} keys at a time")]
    TooManyKeys {
        /// How many there may be.
        most: usize,
    },
    /// Others watch keys.
    #[error("too many watches of keys are open")]
    TooManyWatches,
    /// The watch has ended, or there never was one.
    #[error("the watch has lasted for too long, or a session has ended")]
    WatchOver,
    /// It is not known which flow owns a key.
    #[error("it is not known yet how the source spreads its keys over its shards")]
    UnknownSharding,
    /// The run has no question.
    #[error("the run has not asked anything")]
    NothingAsked,
    /// Not a position for each flow.
    #[error("the source has {flows} flows: name a position for each")]
    WrongFlows {
        /// How many flows there are.
        flows: usize,
    },
}
