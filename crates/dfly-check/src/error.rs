//! Why a comparison cannot be made at all.

use thiserror::Error;

use crate::link::SideError;
use crate::step::StepError;
use crate::store::StoreError;

/// Why a comparison cannot be made at all. What cannot be compared of it is no error: [`crate::Summary`] tells it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckError {
    /// A side cannot be reached or asked at the start.
    #[error(transparent)]
    Side(#[from] SideError),
    /// The replication that is compared in step with.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The report file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is nothing to go on with.
    #[error("the report file has no comparison that was stopped: start it without resuming")]
    NothingToResume,
    /// The comparison in the file had other settings.
    #[error(
        "the report file is of a comparison with other settings or of other servers: start it without resuming"
    )]
    OtherSettings,
    /// The comparison in the file was made in step with a replication.
    #[error(
        "the comparison in the report file was made in step with a replication, and none was found: start the replication, or the comparison without resuming"
    )]
    WasInStep,
    /// The comparison in the file was made in rounds.
    #[error("the comparison in the report file was made in rounds, and can only go on so")]
    WasInRounds,
    /// The program of another engine cannot be run.
    #[error(
        "{program} cannot be run: {error}; install redis-full-check, name its program (--engine-binary), or leave --engine out"
    )]
    NoEngine {
        /// The program.
        program: String,
        /// The system's reason.
        error: std::io::Error,
    },
    /// Another engine cannot compare what is asked for.
    #[error("redis-full-check {0}; leave --engine out")]
    Engine(&'static str),
    /// A temporary folder cannot be made.
    #[error("a temporary folder cannot be made: {0}")]
    Folder(std::io::Error),
    /// A task of the comparison has died.
    #[error("a part of the comparison ended without a result: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl From<dfly_replica::Error> for CheckError {
    fn from(error: dfly_replica::Error) -> Self {
        Self::Side(SideError::Target(error))
    }
}
