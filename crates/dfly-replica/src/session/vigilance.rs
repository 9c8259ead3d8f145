//! Whether the source is still what it was, and still sends.

use std::time::Instant;

use tokio::sync::watch;

use super::coordinator::Running;
use super::ending::SourceLoss;
use super::progress::FlowState;
use crate::run::report::Phase;
use crate::run::stop::{Stop, told};
use crate::source::identity::{SourceIdentity, ask_time};

impl Running {
    /// Whether the source is still the master that this session began with; what it says of its keys is noted.
    pub(super) async fn confirm_source(&mut self) -> Result<(), SourceLoss> {
        let identity = SourceIdentity::ask(&mut self.control).await.map_err(SourceLoss::gone)?;
        identity.check(&self.source_id())?;
        ask_time(&mut self.control, &self.config.clock).await.map_err(SourceLoss::gone)?;
        self.counters.set_source_keys(identity.keys);
        Ok(())
    }

    /// A source that sends nothing more of a snapshot is as good as gone too.
    pub(super) fn check_progress(&mut self, now: Instant) {
        let limit = self.config.progress_timeout;
        if self.phase != Phase::FullSync || self.ending.is_source_lost() {
            return;
        }
        let silent = self.lines.keys().copied().find(|flow| {
            let Some(counters) = self.counters.flow(*flow) else { return false };
            let may_rest = self.cut.has_reached(*flow) || counters.has_in_flight();
            let state = FlowState { bytes: counters.received_bytes(), may_rest };
            self.progress.stands_still(*flow, state, limit, now)
        });
        if let Some(flow) = silent {
            self.lose_source(SourceLoss::Silent(flow, limit.as_secs()));
        }
    }

    /// A source that does not answer is as good as gone (P27). When the run is told to stop meanwhile, nothing more is asked
    /// on the control connection: the next answer on it would be this one.
    pub(super) async fn ping(&mut self, stop: &mut watch::Receiver<Stop>) {
        let answer = tokio::select! {
            answer = self.confirm_source() => answer,
            () = told(stop) => {
                self.start_stable = None;
                return;
            }
        };
        if let Err(cause) = answer {
            self.lose_source(cause);
        }
    }
}
