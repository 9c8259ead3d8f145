//! The run as a whole: session after session until it is told to stop.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::checkpoint::{Checkpoint, ExtraKeys, Stored};
use crate::config::{EngineConfig, OnConflict};
use crate::error::{Error, FlowError};
use crate::maintenance::protected_keys;
use crate::run::control::{self, Control, ControlDesk};
use crate::run::counters::Counters;
use crate::run::report::{Phase, Report};
use crate::run::retry::{Attempts, Paused};
use crate::run::start;
use crate::run::state_file::{SavedState, StateFile};
use crate::run::stop::{Stop, told};
use crate::session::assemble::{self, Opener, Opening};
use crate::session::coordinator::{Observer, Running, SessionEnd};
use crate::target::connect::connect_target;
use crate::target::emptying::follow_flush;
use crate::target::retry_policy::{is_passing, is_unreachable};

/// A replication that can be run once.
#[derive(Debug)]
pub struct Engine {
    config: Arc<EngineConfig>,
    publisher: Publisher,
    control: Control,
    desk: ControlDesk,
    /// 40 hexadecimal characters.
    replica_id: String,
    /// Sessions that were begun: each claims the target under a name of its own.
    claims: u64,
    /// The masters that this run has followed.
    followed: BTreeSet<String>,
}

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Consent {
    Accepted,
    /// The run was told to stop.
    Stopped,
}

#[derive(Debug)]
struct Publisher {
    reports: watch::Sender<Report>,
    counters: Arc<Counters>,
    source_id: Option<String>,
    question: Option<String>,
    state: Option<StateFile>,
    /// The phase that was saved last, and when.
    saved: Option<(Phase, Instant)>,
    config: Arc<EngineConfig>,
}

impl Publisher {
    fn new(config: Arc<EngineConfig>) -> (Self, watch::Receiver<Report>) {
        let (reports, receiver) = watch::channel(Report::default());
        let counters = Arc::new(Counters::new(0));
        let publisher =
            Self { reports, counters, source_id: None, question: None, state: None, saved: None, config };
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
            if let Err(error) = state.save(&SavedState::of(report, self.config.clock.now().0)) {
                warn!(%error, "the state was not saved");
            }
        }
    }

    fn announce(&mut self, phase: Phase) {
        let counters = Arc::clone(&self.counters);
        self.publish(phase, &counters);
    }

    /// Counters for a session with so many flows. They go on from one session to the next.
    fn counters_for(&mut self, flows: u16) -> Arc<Counters> {
        if self.counters.flow_count() != usize::from(flows) {
            self.counters = Arc::new(Counters::new(flows));
        }
        Arc::clone(&self.counters)
    }

    fn tell(&self, text: impl Into<String>) {
        self.counters.events.push(self.config.clock.now(), text);
    }
}

impl Observer for Publisher {
    fn publish(&mut self, phase: Phase, counters: &Counters) {
        let mut report = counters.report(phase, self.source_id.clone(), std::time::Instant::now());
        report.question.clone_from(&self.question);
        self.save(&report);
        self.reports.send_replace(report);
    }
}

impl Engine {
    /// A run by these settings, and where its reports appear.
    pub fn new(mut config: EngineConfig) -> (Self, watch::Receiver<Report>) {
        // The engine serves what has to be refetched.
        Arc::make_mut(&mut config.rules).refetches = true;
        let config = Arc::new(config);
        let (publisher, receiver) = Publisher::new(Arc::clone(&config));
        let chance = RandomState::new();
        let replica_id: String = (0..3).map(|part| format!("{:016x}", chance.hash_one(part))).collect();
        let (control, desk) = control::channel();
        let engine = Self {
            config,
            publisher,
            control,
            desk,
            replica_id: replica_id.chars().take(40).collect(),
            claims: 0,
            followed: BTreeSet::new(),
        };
        (engine, receiver)
    }

    /// A handle by which the run can be asked for something while it runs.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Replicates until `stop` says otherwise, and gives the last report.
    ///
    /// # Errors
    /// [`Error`], when the run cannot go on.
    pub async fn run(mut self, mut stop: watch::Receiver<Stop>) -> Result<Report, Error> {
        if let Some(dir) = &self.config.state_dir {
            self.publisher.state = Some(StateFile::in_dir(dir)?);
        }
        if let Some(opening) = self.first_or_stopped(&mut stop).await? {
            let ended = self.sessions(opening, &mut stop).await;
            self.note_refusal(&ended).await;
            ended?;
        }
        self.publisher.announce(Phase::Stopped);
        Ok(self.publisher.reports.borrow().clone())
    }

    /// Attempts are repeated as in the middle of a run; but a target that cannot be reached at all is an error at once: its
    /// address may be wrong. `None`: the run was told to stop.
    async fn first_or_stopped(&mut self, stop: &mut watch::Receiver<Stop>) -> Result<Option<Opening>, Error> {
        let mut attempts = Attempts::new("target", self.config.reconnect);
        loop {
            let opened = tokio::select! {
                opened = self.first() => opened,
                () = told(stop) => return Ok(None),
            };
            let error = match opened {
                Ok(opening) => return Ok(Some(opening)),
                Err(error) if is_passing(&error) && !is_unreachable(&error) => error,
                Err(error @ (Error::OtherSettings { .. } | Error::RefusedBefore { .. })) => {
                    if self.asks(error, stop).await? == Consent::Stopped {
                        return Ok(None);
                    }
                    Arc::make_mut(&mut self.config).force_resync = true;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if attempts.pause(&error, &self.publisher.counters, stop).await? == Paused::Stopped {
                return Ok(None);
            }
        }
    }

    /// Asks a person whether to synchronise fully, if the settings say so.
    ///
    /// # Errors
    /// The error itself, if it is not asked about or the answer is no.
    async fn asks(&mut self, error: Error, stop: &mut watch::Receiver<Stop>) -> Result<Consent, Error> {
        if !self.config.asks {
            return Err(error);
        }
        self.publisher.question = Some(error.to_string());
        self.publisher.announce(Phase::Connecting);
        let accepts = tokio::select! {
            accepts = self.desk.answered() => accepts,
            () = told(stop) => return Ok(Consent::Stopped),
        };
        self.publisher.question = None;
        match accepts {
            true => Ok(Consent::Accepted),
            false => Err(error),
        }
    }

    /// Everything is synchronised again.
    async fn anew(&self) -> Result<Opening, Error> {
        let (mut target, _) = connect_target(&self.config).await?;
        start::anew(&mut target).await
    }

    /// What the first session begins with: checks the target, and reads where a run before stood.
    async fn first(&mut self) -> Result<Opening, Error> {
        let (mut target, _) = connect_target(&self.config).await?;
        let owner = self.next_owner();
        let opening = start::first(&mut target, &self.config, &owner).await?;
        if self.config.on_conflict != OnConflict::Overwrite {
            let kept = match opening {
                Opening::Full(ExtraKeys::Keep) if Checkpoint::load(&mut target).await? == Stored::Nothing => {
                    protected_keys::note(&mut target, &self.config).await?
                }
                _ => protected_keys::load(&mut target, &self.config).await?,
            };
            let config = Arc::make_mut(&mut self.config);
            Arc::make_mut(&mut config.rules).selection.kept = kept;
        }
        Ok(opening)
    }

    /// What the target knows the next session by, from here on.
    fn next_owner(&mut self) -> String {
        self.claims += 1;
        self.owner()
    }

    /// What the target knows the session by.
    fn owner(&self) -> String {
        format!("{}:{}", self.replica_id, self.claims)
    }

    /// A command that was refused when its transaction ran is behind the stored position: the next run must not go on
    /// as if it had been carried out (P5). One that was refused before, when it was queued, took its whole transaction
    /// and the position with it.
    async fn note_refusal(&self, ended: &Result<(), Error>) {
        let Err(error @ Error::Flow { error: FlowError::Refused(_), .. }) = ended else { return };
        let noted = match connect_target(&self.config).await {
            Ok((mut target, _)) => Checkpoint::refuse(&mut target, &error.to_string()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = noted {
            warn!(%error, "the refusal could not be noted at the target; the next run has to synchronise fully");
        }
    }

    /// Session after session until the run is told to stop.
    async fn sessions(
        &mut self,
        mut opening: Opening,
        stop: &mut watch::Receiver<Stop>,
    ) -> Result<(), Error> {
        let mut is_first = true;
        loop {
            let running = match self.connect(&mut opening, is_first, stop).await {
                Ok(Some(running)) => running,
                Ok(None) => return Ok(()),
                // Within a run it is the same source, restarted; a first start may have the wrong one.
                Err(error @ Error::OtherSource { .. }) if is_first => {
                    if self.asks(error, stop).await? == Consent::Stopped {
                        return Ok(());
                    }
                    opening = self.anew().await?;
                    continue;
                }
                Err(
                    error @ (Error::CannotResume { .. } | Error::AheadOfSource | Error::OtherSource { .. }),
                ) => {
                    warn!(%error, "synchronising fully");
                    self.publisher.tell(format!("synchronising fully: {error}"));
                    opening = self.anew().await?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            is_first = false;
            self.followed.insert(running.source_id());
            self.publisher.source_id = Some(running.source_id());
            let end = running.run(stop, &mut self.desk, &mut self.publisher).await?;
            match self.next(end, stop).await? {
                Some(next) => opening = next,
                None => return Ok(()),
            }
        }
    }

    /// What the next session begins with; `None`: there is none.
    async fn next(
        &mut self,
        end: SessionEnd,
        stop: &mut watch::Receiver<Stop>,
    ) -> Result<Option<Opening>, Error> {
        if let SessionEnd::Stopped = end {
            return Ok(None);
        }
        if let SessionEnd::Flushed(flush) = end {
            info!(
                "the source was flushed during the full synchronisation: flushing the target and starting over"
            );
            follow_flush(&self.config, flush, &self.owner()).await?;
        }
        self.say(&end);
        let mut attempts = Attempts::new("target", self.config.reconnect);
        self.publisher.announce(Phase::Reconnecting);
        loop {
            let owner = self.next_owner();
            let error = match start::next(&self.config, &owner, &self.followed).await {
                Ok(opening) => return Ok(Some(opening)),
                Err(error) if is_passing(&error) => error,
                Err(error) => return Err(error),
            };
            if attempts.pause(&error, &self.publisher.counters, stop).await? == Paused::Stopped {
                return Ok(None);
            }
        }
    }

    fn say(&self, end: &SessionEnd) {
        let text = match end {
            SessionEnd::Stopped => return,
            SessionEnd::Flushed(_) => "the source was flushed during the full synchronisation".to_owned(),
            SessionEnd::SourceLost { is_stable: true, cause } => {
                warn!(%cause, "the source is gone; connecting again");
                format!("the source is gone: {cause}")
            }
            SessionEnd::SourceLost { is_stable: false, cause } => {
                warn!(%cause, "the source is gone during the full synchronisation; connecting again to start over");
                format!("the source is gone during the full synchronisation: {cause}")
            }
            SessionEnd::TargetLost(cause) => {
                warn!(%cause, "the target is gone; connecting again");
                format!("the target is gone: {cause}")
            }
        };
        self.publisher.tell(text);
    }

    /// Opens a session. Attempts are repeated, with backoff, until one succeeds, `stop` is told, or it took too long; but
    /// a source that cannot be reached at all when the run starts is an error at once: its address may be wrong.
    async fn connect(
        &mut self,
        opening: &mut Opening,
        is_first: bool,
        stop: &mut watch::Receiver<Stop>,
    ) -> Result<Option<Running>, Error> {
        let mut attempts = Attempts::new("source", self.config.reconnect);
        self.publisher.announce(if is_first { Phase::Connecting } else { Phase::Reconnecting });
        let mut is_known = true;
        loop {
            let opened = tokio::select! {
                opened = self.attempt(opening, is_known) => opened,
                () = told(stop) => return Ok(None),
            };
            let error = match opened {
                Ok(running) => return Ok(Some(running)),
                Err(error) if error.is_passing() && !(is_first && error.is_unreachable()) => error,
                Err(error) if is_passing(&error) && !(is_first && is_unreachable(&error)) => error,
                Err(error) => return Err(error),
            };
            if attempts.pause(&error, &self.publisher.counters, stop).await? == Paused::Stopped {
                return Ok(None);
            }
            is_known = false;
        }
    }

    /// One attempt. One before that failed late may have taken the positions over to the source's successor, and it is not
    /// known then whether the target was claimed: nothing is opened before that is.
    async fn attempt(&mut self, opening: &mut Opening, is_known: bool) -> Result<Running, Error> {
        if !is_known && matches!(opening, Opening::Partial(_)) {
            let owner = self.next_owner();
            *opening = start::stands(&self.config, &owner).await?;
        }
        let owner = self.owner();
        let opener = Opener { replica_id: &self.replica_id, owner: &owner };
        let publisher = &mut self.publisher;
        assemble::open(&self.config, opener, opening, |flows| publisher.counters_for(flows)).await
    }
}
