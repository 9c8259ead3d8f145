//! SIGHUP: the settings are read again, and those that can change while a run goes on do. Password files need no signal: they
//! are read for each connection.

use anyhow::Context;
use dfly_replica::{Control, RateLimits};
use tokio::signal::unix::{Signal, SignalKind, signal};
use toml::{Table, Value};
use tracing::{info, warn};

use crate::config::{self, Environment};
use crate::flags::{ReplicateFlags, Settings};
use crate::logs::{LevelHandle, LogSettings};
use crate::service::Service;
use crate::settings::engine_config;

/// The settings that can change.
const CHANGEABLE: [&str; 3] = ["snapshot-bytes-per-second", "target-ops-per-second", "log-level"];

/// What the settings are read from, and what takes them.
pub(crate) struct Reload {
    pub flags: ReplicateFlags,
    pub environment: Environment,
    pub in_effect: Settings,
    pub level: LevelHandle,
    pub control: Control,
}

/// Listens for SIGHUP from here on.
pub(crate) fn on_hangups() -> anyhow::Result<Signal> {
    signal(SignalKind::hangup()).context("cannot listen for SIGHUP")
}

impl Reload {
    /// Reads the settings again at each signal.
    pub(crate) async fn at_each(mut self, mut hangups: Signal) {
        while hangups.recv().await.is_some() {
            Service::reloading();
            match self.once().await {
                Ok(settings) => self.in_effect = settings,
                Err(error) => warn!("the settings stay as they are: {error}"),
            }
            Service::reloaded();
        }
    }

    async fn once(&self) -> Result<Settings, String> {
        let settings = config::resolve(&self.flags, &self.environment)?.settings;
        let engine = engine_config(&settings, false)?;
        let logs = LogSettings::new(&settings.log, None)?;
        let limits = RateLimits {
            snapshot_bytes_per_second: engine.snapshot_bytes_per_second,
            target_ops_per_second: engine.target_ops_per_second,
        };
        self.control.limit(limits).await.map_err(|error| error.to_string())?;
        self.level.set(logs.level);
        let (changed, others) = changes(&self.in_effect, &settings);
        info!(changed = %in_words(&changed), "the settings were read again");
        if !others.is_empty() {
            warn!("other settings have changed too, and hold from the next start on: {}", others.join(", "));
        }
        Ok(settings)
    }
}

fn in_words(keys: &[String]) -> String {
    if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") }
}

/// The names of the settings that differ: those that can change while a run goes on, and the others.
fn changes(was: &Settings, is: &Settings) -> (Vec<String>, Vec<String>) {
    let table = |settings: &Settings| Table::try_from(settings).unwrap_or_default();
    let (was, is) = (table(was), table(is));
    let mut keys: Vec<String> = was.keys().chain(is.keys()).cloned().collect();
    keys.sort_unstable();
    keys.dedup();
    let differs = |key: &String| was.get(key).map(Value::to_string) != is.get(key).map(Value::to_string);
    keys.into_iter().filter(differs).partition(|key| CHANGEABLE.contains(&key.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_change_and_what_cannot() {
        let was = Settings { target_ops_per_second: Some(10), ..Settings::default() };
        let is = Settings { on_start: Some("merge".into()), ..Settings::default() };
        let (changed, others) = changes(&was, &is);
        assert_eq!(
            (changed, others),
            (vec!["target-ops-per-second".to_owned()], vec!["on-start".to_owned()])
        );
        assert_eq!(changes(&is, &is), (vec![], vec![]));
    }
}
