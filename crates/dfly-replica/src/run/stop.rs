//! How a run is told to end.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

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
