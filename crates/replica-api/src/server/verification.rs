//! Compares and repairs all keys again and again beside a run, at a rate that can be changed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dfly_check::{CheckConfig, Continuous};
use dfly_replica::{Control, EngineConfig, Report};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::wire::Verified;

/// The verification of a run. Copies share it.
#[derive(Debug, Clone, Default)]
pub struct Verification(Arc<Mutex<Option<Ongoing>>>);

#[derive(Debug)]
struct Ongoing {
    task: JoinHandle<()>,
    verified: watch::Receiver<dfly_check::Verified>,
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A run that is verified.
#[derive(Debug)]
pub struct Verifiable {
    /// What it can be asked for.
    pub control: Control,
    /// What it is doing.
    pub reports: watch::Receiver<Report>,
    /// Its settings.
    pub config: EngineConfig,
}

impl Verification {
    fn lock(&self) -> MutexGuard<'_, Option<Ongoing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compares so many keys in a second from now on; none, if it is 0. What was counted before is forgotten.
    pub fn set(&self, run: Verifiable, keys_per_second: u64) {
        let begun = (keys_per_second > 0).then(|| begin(run, keys_per_second));
        *self.lock() = begun;
    }

    /// What was verified; `None` if nothing is.
    pub fn read(&self) -> Option<Verified> {
        self.lock().as_ref().map(|ongoing| as_told(&ongoing.verified.borrow()))
    }
}

fn begin(run: Verifiable, keys_per_second: u64) -> Ongoing {
    let (verified, found) = watch::channel(dfly_check::Verified::default());
    let task = tokio::spawn(async move {
        // It ends with its task: nobody else tells it to.
        let (_stop, stopped) = watch::channel(false);
        let continuous = Continuous {
            config: CheckConfig { connections: 1, ..CheckConfig::new(run.config) },
            control: run.control,
            reports: run.reports,
            keys_per_second,
            verified,
            stop: stopped,
        };
        if let Err(error) = Box::pin(continuous.run()).await {
            warn!(%error, "the target is not verified any more");
        }
    });
    Ongoing { task, verified: found }
}

fn as_told(found: &dfly_check::Verified) -> Verified {
    Verified {
        passes: found.passes,
        compared: found.compared,
        repaired: found.repaired,
        different: found.different.clone(),
        not_compared: found.not_compared,
    }
}
