//! `replicate --verify-continuously`: the target is compared and repaired while the run goes on.

use dfly_check::{CheckConfig, Continuous};
use dfly_replica::{Engine, EngineConfig, Report};
use replica_api::wire::Verified;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::warn;

use crate::flags::Settings;

/// A verification beside a run. It ends when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Verification {
    tasks: JoinSet<()>,
    /// What was verified.
    pub verified: Option<watch::Receiver<Verified>>,
    /// Never told: it ends with its tasks.
    stop: watch::Sender<bool>,
}

impl Verification {
    /// Begins, if the settings say so.
    pub(super) fn begin(
        settings: &Settings,
        config: EngineConfig,
        engine: &Engine,
        reports: &watch::Receiver<Report>,
    ) -> Self {
        let mut verification = Self::default();
        let wanted = settings.control.verify_continuously;
        let Some(keys_per_second) = wanted.filter(|keys| *keys > 0) else { return verification };
        let (verified, mut found) = watch::channel(dfly_check::Verified::default());
        let (told, shown) = watch::channel(Verified::default());
        let continuous = Continuous {
            config: CheckConfig { connections: 1, ..CheckConfig::new(config) },
            control: engine.control(),
            reports: reports.clone(),
            keys_per_second,
            verified,
            stop: verification.stop.subscribe(),
        };
        verification.tasks.spawn(async move {
            if let Err(error) = continuous.run().await {
                warn!(%error, "the target is not verified any more");
            }
        });
        verification.tasks.spawn(async move {
            while found.changed().await.is_ok() {
                told.send_replace(as_told(&found.borrow_and_update()));
            }
        });
        verification.verified = Some(shown);
        verification
    }
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
