//! How a run is, in a word and a sentence.

use dfly_replica::Phase;
use replica_api::wire::Status;

use crate::exit::Failure;

/// How far behind a run is lagging, in milliseconds.
const LAGGING: u64 = 10_000;

/// How a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Health {
    InOrder(String),
    Lagging(String),
    Broken(String),
}

impl Health {
    pub(super) fn of(status: &Status) -> Self {
        if let Some(question) = &status.question {
            return Self::Broken(format!("it asks: {question}"));
        }
        if let Some(why) = &status.stalled {
            return Self::Lagging(why.clone());
        }
        match (status.phase, status.lag) {
            (Phase::Stopped, _) => Self::Broken("it has stopped".to_owned()),
            (Phase::Reconnecting, _) => Self::Lagging("it connects again".to_owned()),
            (Phase::StableSync, Some(lag)) if lag.millis > LAGGING => {
                Self::Lagging(format!("the target is {} s behind", lag.millis / 1000))
            }
            _ if status.is_paused => Self::Lagging("it is paused".to_owned()),
            (Phase::StableSync, _) if status.in_sync => Self::InOrder("in sync".to_owned()),
            (Phase::StableSync, _) => Self::InOrder("it catches up".to_owned()),
            (Phase::FullSync, _) => Self::InOrder("the snapshot is copied".to_owned()),
            (Phase::Connecting, _) => Self::InOrder("it begins".to_owned()),
        }
    }

    pub(super) fn words(&self) -> (&'static str, &str) {
        match self {
            Self::InOrder(text) => ("in order", text),
            Self::Lagging(text) => ("lagging", text),
            Self::Broken(text) => ("broken", text),
        }
    }

    pub(super) fn code(self) -> Result<(), Failure> {
        match self {
            Self::InOrder(_) => Ok(()),
            Self::Lagging(text) => Err(Failure::Lagging(text)),
            Self::Broken(text) => Err(Failure::Other(anyhow::anyhow!("{text}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use replica_api::wire::Lag;

    use super::*;

    fn status() -> Status {
        Status { phase: Phase::StableSync, in_sync: true, ..Status::default() }
    }

    #[test]
    fn how_a_run_is() {
        let of = |change: &dyn Fn(&mut Status)| {
            let mut status = status();
            change(&mut status);
            Health::of(&status).words().0
        };
        assert_eq!(of(&|_| {}), "in order");
        assert_eq!(of(&|status| status.lag = Some(Lag { records: 1, millis: 10_001 })), "lagging");
        assert_eq!(of(&|status| status.stalled = Some("the target is away".to_owned())), "lagging");
        assert_eq!(of(&|status| status.is_paused = true), "lagging");
        assert_eq!(of(&|status| status.phase = Phase::Reconnecting), "lagging");
        assert_eq!(of(&|status| status.question = Some("really?".to_owned())), "broken");
        assert_eq!(of(&|status| status.phase = Phase::Stopped), "broken");
    }
}
