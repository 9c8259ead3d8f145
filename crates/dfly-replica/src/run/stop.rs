//! How a run is told to end.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::error::Error;
use crate::session::ending::SessionEnd;

/// Whether a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It goes on.
    Running,
    /// Stop reading, wait for what is in flight, close.
    Drain,
}

/// Waits until the run is told to stop, or nobody is left who could tell it.
pub(crate) async fn told(stop: &mut watch::Receiver<Stop>) {
    drop(stop.wait_for(|stop| *stop != Stop::Running).await);
}

/// Waits for `delay`; true if the run was told to stop meanwhile.
pub(crate) async fn stopped_during(delay: Duration, stop: &mut watch::Receiver<Stop>) -> bool {
    tokio::select! {
        () = told(stop) => true,
        () = sleep(delay) => false,
    }
}

/// What a run has read, and the target has not taken for certain when the run ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Left {
    Nothing,
    /// So many records on disk.
    OnDisk(u64),
    /// The target was lost, for this reason, and what it holds is not known.
    Unknown(String),
}

impl Left {
    /// What a session has left.
    pub(crate) fn of(end: &SessionEnd) -> Self {
        match end {
            SessionEnd::Stopped { on_disk } | SessionEnd::SourceLost { on_disk, .. } => match on_disk {
                0 => Self::Nothing,
                records => Self::OnDisk(*records),
            },
            SessionEnd::TargetLost(trouble) => Self::Unknown(trouble.to_string()),
            SessionEnd::Flushed(_) => Self::Nothing,
        }
    }

    /// # Errors
    /// What to tell the user, unless the target has everything.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self {
            Self::Nothing => Ok(()),
            Self::OnDisk(records) => Err(Error::LeftOnDisk { records: *records }),
            Self::Unknown(cause) => Err(Error::LeftUnknown { cause: cause.clone() }),
        }
    }
}
