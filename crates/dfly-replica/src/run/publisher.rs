//! What a run tells of itself.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::warn;

use crate::config::EngineConfig;
use crate::run::counters::Counters;
use crate::run::report::{Milestones, Phase, Report};
use crate::run::state_file::{SavedState, StateFile};
use crate::session::coordinator::Observer;

/// Where the state of a run appears: in reports, and in the state file.
#[derive(Debug)]
pub(crate) struct Publisher {
    pub reports: watch::Sender<Report>,
    pub counters: Arc<Counters>,
    pub source_id: Option<String>,
    pub state: Option<StateFile>,
    milestones: Milestones,
    /// The phase that was saved last, and when.
    saved: Option<(Phase, Instant)>,
    config: Arc<EngineConfig>,
}

impl Publisher {
    pub(crate) fn new(config: Arc<EngineConfig>) -> (Self, watch::Receiver<Report>) {
        let (reports, receiver) = watch::channel(Report::default());
        let counters = Arc::new(Counters::new(0));
        let publisher = Self {
            reports,
            counters,
            source_id: None,
            state: None,
            milestones: Milestones::default(),
            saved: None,
            config,
        };
        (publisher, receiver)
    }

    /// Saves the state once an interval, and whenever the phase changes.
    fn save(&mut self, report: &Report) {
        let now = Instant::now();
        let due = self
            .saved
            .is_none_or(|(phase, at)| phase != report.phase || now - at >= self.config.state_interval);
        if let Some(state) = self.state.as_ref().filter(|_| due) {
            self.saved = Some((report.phase, now));
            if let Err(error) = state.save(&SavedState::of(report, self.config.clock.host().0)) {
                warn!(%error, "the state was not saved");
            }
        }
    }

    pub(crate) fn announce(&mut self, phase: Phase) {
        let counters = Arc::clone(&self.counters);
        self.publish(phase, &counters);
    }

    /// Counters for a session with so many flows. They go on from one session to the next.
    pub(crate) fn counters_for(&mut self, flows: u16) -> Arc<Counters> {
        if self.counters.flow_count() != usize::from(flows) {
            self.counters = Arc::new(Counters::new(flows));
        }
        Arc::clone(&self.counters)
    }

    pub(crate) fn tell(&self, text: impl Into<String>) {
        self.counters.events.push(self.config.clock.host(), text);
    }
}

impl Observer for Publisher {
    fn publish(&mut self, phase: Phase, counters: &Counters) {
        let mut report = counters.report(phase, self.source_id.clone(), std::time::Instant::now());
        let before = self.reports.borrow().phase;
        self.milestones.see(before, &report, self.config.clock.host());
        report.milestones = self.milestones;
        self.save(&report);
        self.reports.send_replace(report);
    }
}
