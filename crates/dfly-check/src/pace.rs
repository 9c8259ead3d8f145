//! How fast keys are compared at the most.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How many keys are compared in a second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyPace(pub u64);

impl KeyPace {
    /// How long so many keys are to take.
    fn time_of(self, keys: u64) -> Duration {
        Duration::from_micros(keys.saturating_mul(1_000_000) / self.0.max(1))
    }

    /// Rests until so many keys may have been compared since `began`, or until `stop` holds `true`.
    pub(crate) async fn rest(self, keys: u64, began: Instant, stop: &watch::Receiver<bool>) {
        let mut stop = stop.clone();
        tokio::select! {
            () = sleep_until(began + self.time_of(keys)) => {}
            _told = stop.wait_for(|told| *told) => {}
        }
    }
}
