//! The service manager (systemd with `Type=notify`): when the run is ready, what it is doing, and that it is alive. Without a
//! service manager nothing is sent.

use std::time::{Duration, Instant};

use dfly_replica::{Phase, Report};
use sd_notify::NotifyState;

/// What is told to the service manager.
#[derive(Debug, Default)]
pub(crate) struct Service {
    is_ready: bool,
    status: String,
    /// How often it is told that the run is alive, if it wants to know.
    watchdog: Option<Duration>,
    alive: Option<Instant>,
}

impl Service {
    /// As the environment has it.
    pub(crate) fn of_environment() -> Self {
        let mut micros = 0;
        let is_watched = sd_notify::watchdog_enabled(false, &mut micros);
        // Twice in its time, as its documentation advises.
        let watchdog = is_watched.then(|| Duration::from_micros(micros / 2));
        Self { watchdog, ..Self::default() }
    }

    /// Tells what is new: the run is ready once it has begun to read from the source.
    pub(crate) fn on_report(&mut self, report: &Report, line: &str, now: Instant) {
        if !self.is_ready && matches!(report.phase, Phase::FullSync | Phase::StableSync) {
            self.is_ready = true;
            tell(&[NotifyState::Ready]);
        }
        if self.status != line {
            line.clone_into(&mut self.status);
            tell(&[NotifyState::Status(line)]);
        }
        let is_due =
            |every: Duration| self.alive.is_none_or(|alive| now.saturating_duration_since(alive) >= every);
        if self.watchdog.is_some_and(is_due) {
            self.alive = Some(now);
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// The run has been told to stop.
    pub(crate) fn stopping(status: &str) {
        tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
    }

    /// The settings are read again.
    pub(crate) fn reloading() {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            tell(&[NotifyState::Reloading, now]);
        }
    }

    /// They were.
    pub(crate) fn reloaded() {
        tell(&[NotifyState::Ready]);
    }
}

/// A service manager that is gone changes nothing for the run.
fn tell(states: &[NotifyState<'_>]) {
    drop(sd_notify::notify(false, states));
}
