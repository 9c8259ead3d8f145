//! Whether the source is still what it was, and still sends.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dfly_client::FlowId;
use tokio::sync::watch;
use tokio::time::Interval;
use tracing::{info, warn};

use super::coordinator::{Observer, Running};
use super::ending::SourceLoss;
use super::progress::FlowState;
use super::silence::{Change, Side};
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
    pub(super) async fn ping(
        &mut self,
        stop: &mut watch::Receiver<Stop>,
        report: &mut Interval,
        observer: &mut (impl Observer + Send),
    ) {
        let (asked, limit) = (Instant::now(), self.config.source.reply_timeout);
        let (phase, counters) = (self.phase, Arc::clone(&self.counters));
        let mut silence = std::mem::take(&mut self.source_silence);
        let answer = {
            let mut answer = pin!(self.confirm_source());
            loop {
                tokio::select! {
                    answer = &mut answer => break Some(answer),
                    () = told(stop) => break None,
                    _ = report.tick() => {
                        observer.publish(phase, &counters);
                        if let Some(Change::Silent(time)) = silence.see(Side::WaitedFor(asked), Instant::now()) {
                            tell_of_silence("source", time, "what it has sent is on the target, or on its way there", limit);
                        }
                    }
                }
            }
        };
        match answer {
            Some(Ok(())) => {
                if let Some(Change::Answers(time)) = silence.see(Side::Answers, Instant::now()) {
                    tell_of_answer("source", time);
                }
            }
            Some(Err(cause)) => self.lose_source(cause),
            None => self.start_stable = None,
        }
        self.source_silence = silence;
    }

    /// Tells of a target that leaves something unanswered, before it counts as lost.
    pub(super) fn watch_target(&mut self, now: Instant) {
        let counters = &self.counters;
        let flow = |flow: &FlowId| Some((*flow, counters.flow(*flow)?.at_target()));
        match self.target_silence.see(self.lines.keys().filter_map(flow), now) {
            Some(Change::Silent(time)) => {
                tell_of_silence("target", time, self.meanwhile(), self.config.target_timeout);
            }
            Some(Change::Answers(time)) => tell_of_answer("target", time),
            None => {}
        }
    }

    /// What is done while the target does not answer.
    fn meanwhile(&self) -> &'static str {
        match (self.phase, &self.config.state_dir) {
            (Phase::StableSync, Some(_)) if self.config.relay_max_bytes > 0 => {
                "the journal goes to the relay log, and the source is not slowed down"
            }
            (Phase::StableSync, _) => "the source is read until the memory limit is reached",
            _ => "the snapshot waits for it",
        }
    }
}

fn tell_of_silence(side: &str, time: Duration, meanwhile: &str, limit: Duration) {
    warn!(
        "the {side} has not answered for {} s; {meanwhile}; a connection on which nothing moves for {} s is opened again",
        time.as_secs(),
        limit.as_secs()
    );
}

fn tell_of_answer(side: &str, time: Duration) {
    info!("the {side} answers again, after {} s", time.as_secs());
}
