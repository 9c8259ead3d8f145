//! A source with another history than the one that was followed, and what becomes of it. Pure.

use crate::config::{EngineConfig, OnNewSource};

/// Another source than the one that was followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "another source answers than the one that was followed ({is} instead of {was}), with {} instead of {}",
    count(*has),
    count(*had)
)]
pub struct NewSource {
    /// The one that was followed.
    pub was: String,
    /// Keys that it had, if that is known.
    pub had: Option<u64>,
    /// The one that answers.
    pub is: String,
    /// Keys that it has, if it says so.
    pub has: Option<u64>,
}

fn count(keys: Option<u64>) -> String {
    match keys {
        None => "an unknown number of keys".to_owned(),
        Some(1) => "1 key".to_owned(),
        Some(keys) => format!("{keys} keys"),
    }
}

impl NewSource {
    /// What becomes of it. What is not known counts as too little.
    pub(crate) fn verdict(&self, config: &EngineConfig) -> Verdict {
        judge(config.on_new_source, config.new_source_share, self.had, self.has)
    }
}

/// What becomes of a source with another history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is synchronised from.
    Resync,
    /// The target stays as it is until the data is back, or a person says so.
    Wait,
    /// The run ends.
    Stop,
}

fn judge(policy: OnNewSource, share: u8, had: Option<u64>, has: Option<u64>) -> Verdict {
    let holds_enough = || {
        let (had, has) = had.zip(has)?;
        Some(u128::from(has) * 100 >= u128::from(had) * u128::from(share))
    };
    match policy {
        OnNewSource::Resync => Verdict::Resync,
        OnNewSource::Stop => Verdict::Stop,
        OnNewSource::Wait if holds_enough() == Some(true) => Verdict::Resync,
        OnNewSource::Wait => Verdict::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_without_its_data_is_waited_for() {
        use OnNewSource as On;
        for (policy, had, has, verdict) in [
            (On::Wait, Some(1000), Some(0), Verdict::Wait),
            (On::Wait, Some(1000), Some(499), Verdict::Wait),
            (On::Wait, Some(1000), Some(500), Verdict::Resync),
            (On::Wait, Some(0), Some(0), Verdict::Resync),
            (On::Wait, Some(1000), None, Verdict::Wait),
            (On::Wait, None, Some(1000), Verdict::Wait),
            (On::Resync, Some(1000), Some(0), Verdict::Resync),
            (On::Stop, Some(1000), Some(1000), Verdict::Stop),
            (On::Wait, Some(u64::MAX), Some(u64::MAX), Verdict::Resync),
        ] {
            assert_eq!(judge(policy, 50, had, has), verdict, "{policy:?} {had:?} {has:?}");
        }
    }
}
