//! The run as a whole: session after session until it is told to stop.

mod succession;

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use dfly_translate::Flush;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::checkpoint::{Checkpoint, ExtraKeys, Stored};
use crate::config::{EngineConfig, OnConflict, OnNewSource};
use crate::error::{Error, FlowError};
use crate::maintenance::protected_keys;
use crate::run::control::{self, Control, ControlDesk};
use crate::run::publisher::Publisher;
use crate::run::report::{Phase, Report};
use crate::run::retry::{Attempts, FullRelayLogs, Paused, ShortSessions};
use crate::run::start;
use crate::run::state_file::{StateFile, StateLock};
use crate::run::stop::{Left, Stop, stopped_during, told};
use crate::session::assemble::{self, Opener, Opening};
use crate::session::coordinator::Running;
use crate::session::ending::{SessionEnd, SourceLoss};
use crate::source::identity::Changed;
use crate::target::connect::connect_target;
use crate::target::emptying::follow_flush;
use crate::target::probe::{self, Uses};
use crate::target::retry_policy::{is_login, is_passing, is_unreachable};

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
    /// The sources that it may synchronise fully from; `None`: any.
    allowed: Option<BTreeSet<String>>,
    left: Left,
    /// The last session ended because the source handed over to another, in order.
    was_handed_over: bool,
}

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Consent {
    Accepted,
    /// The run was told to stop.
    Stopped,
}

/// How it ended that another source than before answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Met {
    /// It is synchronised from.
    Admitted,
    /// Another one answers now, or none.
    Gone,
    /// The run was told to stop.
    Stopped,
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
            allowed: None,
            left: Left::Nothing,
            was_handed_over: false,
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
        // Before anything else is touched; held until the run ends.
        let _lock = self.config.state_dir.as_deref().map(StateLock::claim).transpose()?;
        if let Some(dir) = &self.config.state_dir {
            self.publisher.state = Some(StateFile::in_dir(dir)?);
        }
        if let Some(opening) = Box::pin(self.first_or_stopped(&mut stop)).await? {
            let ended = Box::pin(self.sessions(opening, &mut stop)).await;
            self.note_refusal(&ended).await;
            ended?;
        }
        self.publisher.announce(Phase::Stopped);
        self.left.check()?;
        Ok(self.publisher.reports.borrow().clone())
    }

    /// Attempts are repeated as in the middle of a run; but a target that cannot be reached at all, or refuses the login, is an
    /// error at once: its address or the password may be wrong. `None`: the run was told to stop.
    async fn first_or_stopped(&mut self, stop: &mut watch::Receiver<Stop>) -> Result<Option<Opening>, Error> {
        let mut attempts = Attempts::new("target", self.config.reconnect);
        loop {
            let opened = tokio::select! {
                opened = self.first() => opened,
                () = told(stop) => return Ok(None),
            };
            let error = match opened {
                Ok(opening) => {
                    attempts.succeed();
                    return Ok(Some(opening));
                }
                Err(error) if is_passing(&error) && !is_unreachable(&error) && !is_login(&error) => error,
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
            self.publisher.announce(Phase::Connecting);
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
        self.publisher.counters.set_question(Some(error.to_string()));
        self.publisher.announce(Phase::Connecting);
        let accepts = tokio::select! {
            accepts = self.desk.answered() => accepts,
            () = told(stop) => return Ok(Consent::Stopped),
        };
        self.publisher.counters.set_question(None);
        match accepts {
            true => Ok(Consent::Accepted),
            false => Err(error),
        }
    }

    /// Everything is synchronised again. A target that is away is waited for. `None`: the run was told to stop.
    async fn anew(&self, stop: &mut watch::Receiver<Stop>) -> Result<Option<Opening>, Error> {
        let mut attempts = Attempts::new("target", self.config.reconnect);
        loop {
            let opened = async {
                let (mut target, _) = connect_target(&self.config).await?;
                start::anew(&mut target).await
            };
            match opened.await {
                Ok(opening) => {
                    attempts.succeed();
                    return Ok(Some(opening));
                }
                Err(error) if is_passing(&error) => {
                    if attempts.pause(&error, &self.publisher.counters, stop).await? == Paused::Stopped {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What the first session begins with: checks the target, and reads where a run before stood.
    async fn first(&mut self) -> Result<Opening, Error> {
        let (mut target, found) = probe::meet(&self.config, Uses::Run).await?;
        found.announce();
        found.apply(Arc::make_mut(&mut self.config));
        let owner = self.next_owner();
        let (opening, unfinished_of) = start::first(&mut target, &self.config, &owner).await?;
        if self.config.on_new_source != OnNewSource::Resync {
            self.allowed = unfinished_of.map(|id| [id].into());
        }
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
        let (mut is_first, mut short) = (true, ShortSessions::new(self.config.reconnect));
        let mut full = FullRelayLogs::new(self.config.reconnect);
        loop {
            let running = match self.connect(&mut opening, is_first, stop).await {
                Ok(Some(running)) => running,
                Ok(None) => return Ok(()),
                // A first start may have the wrong source.
                Err(error @ Error::OtherSource { .. }) if is_first => {
                    if self.config.on_new_source != OnNewSource::Resync
                        && self.asks(error, stop).await? == Consent::Stopped
                    {
                        return Ok(());
                    }
                    self.allowed = None;
                    match self.anew(stop).await? {
                        Some(anew) => opening = anew,
                        None => return Ok(()),
                    }
                    continue;
                }
                // Within a run it may be the same source, restarted, with its data or without.
                Err(Error::OtherSource { id, .. }) => {
                    match self.meet_new_source(&id, stop).await? {
                        Met::Admitted => match self.anew(stop).await? {
                            Some(anew) => opening = anew,
                            None => return Ok(()),
                        },
                        Met::Gone => {}
                        Met::Stopped => return Ok(()),
                    }
                    continue;
                }
                Err(error @ (Error::CannotResume { .. } | Error::AheadOfSource | Error::Diverged { .. })) => {
                    warn!(%error, "synchronising fully");
                    self.publisher.tell(format!("synchronising fully: {error}"));
                    match self.anew(stop).await? {
                        Some(anew) => opening = anew,
                        None => return Ok(()),
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            (is_first, self.left) = (false, Left::Nothing);
            self.followed.insert(running.source_id());
            self.allowed.get_or_insert_default().insert(running.source_id());
            self.publisher.source_id = Some(running.source_id());
            let began = Instant::now();
            let end = running.run(stop, &mut self.desk, &mut self.publisher).await?;
            let pause = match &end {
                SessionEnd::SourceLost { cause: SourceLoss::RelayFull(_), .. } => full.pause(began.elapsed()),
                _ => short.pause(began.elapsed()),
            };
            if !matches!(end, SessionEnd::Stopped { .. }) && stopped_during(pause, stop).await {
                self.left = Left::of(&end);
                return Ok(());
            }
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
        self.left = Left::of(&end);
        self.was_handed_over = matches!(end, SessionEnd::SourceLost { was_handed_over: true, .. });
        if let SessionEnd::Stopped { .. } = end {
            return Ok(None);
        }
        let mut flush = match end {
            SessionEnd::Flushed(flush) if self.is_still_followed().await => Some(flush),
            _ => None,
        };
        if flush.is_some() {
            info!(
                "the source was flushed during the full synchronisation: flushing the target and starting over"
            );
        }
        self.say(&end);
        let demoted = match &end {
            SessionEnd::SourceLost { cause: SourceLoss::Changed(Changed::Demoted), .. } => self.demote(),
            _ => None,
        };
        let mut attempts = Attempts::new("target", self.config.reconnect);
        self.publisher.announce(Phase::Reconnecting);
        loop {
            let error = match self.begin_next(&mut flush, demoted.as_deref()).await {
                Ok(opening) => {
                    attempts.succeed();
                    return Ok(Some(opening));
                }
                Err(error) if is_passing(&error) => error,
                Err(error) => return Err(error),
            };
            if attempts.pause(&error, &self.publisher.counters, stop).await? == Paused::Stopped {
                return Ok(None);
            }
            self.publisher.announce(Phase::Reconnecting);
        }
    }

    /// One attempt: what the source has flushed goes first.
    async fn begin_next(
        &mut self,
        flush: &mut Option<Flush>,
        demoted: Option<&str>,
    ) -> Result<Opening, Error> {
        if let Some(flushed) = *flush {
            follow_flush(&self.config, flushed, &self.owner()).await?;
            *flush = None;
        }
        let owner = self.next_owner();
        start::next(&self.config, &owner, start::Sources { followed: &self.followed, demoted }).await
    }

    fn say(&self, end: &SessionEnd) {
        let text = match end {
            SessionEnd::Stopped { .. } => return,
            SessionEnd::Flushed(_) => "the source was flushed during the full synchronisation".to_owned(),
            SessionEnd::SourceLost { is_stable: true, cause, .. } => {
                warn!("{cause}; connecting again");
                cause.to_string()
            }
            SessionEnd::SourceLost { is_stable: false, cause, .. } => {
                warn!("{cause}; connecting again, to start the full synchronisation over");
                format!("during the full synchronisation, {cause}")
            }
            SessionEnd::TargetLost(trouble) => {
                warn!("{trouble}; connecting again");
                trouble.to_string()
            }
        };
        self.publisher.tell(text);
    }

    /// Opens a session. Attempts are repeated, with backoff, until one succeeds, `stop` is told, or it took too long; but
    /// a source that cannot be reached at all when a first run starts is an error at once: its address may be wrong. So is a
    /// login that is refused at a start.
    async fn connect(
        &mut self,
        opening: &mut Opening,
        is_first: bool,
        stop: &mut watch::Receiver<Stop>,
    ) -> Result<Option<Running>, Error> {
        let mut attempts = Attempts::new("source", self.config.reconnect);
        let phase = if is_first { Phase::Connecting } else { Phase::Reconnecting };
        self.publisher.announce(phase);
        let mut is_known = true;
        // An address that has never led to the source may be wrong; positions show that it was right once.
        let is_new = is_first && matches!(opening, Opening::Full(_));
        loop {
            let opened = tokio::select! {
                opened = self.attempt(opening, is_known) => opened,
                () = told(stop) => return Ok(None),
            };
            let error = match opened {
                Ok(running) => {
                    attempts.succeed();
                    return Ok(Some(running));
                }
                Err(error) if error.is_passing() && !(is_new && error.is_unreachable()) => error,
                Err(error) if error.is_of_replica() && !is_new => error,
                // Whoever has logged in once has a password that was right, and may be right again.
                Err(error) if error.is_login() && !is_first => error,
                Err(error) if is_passing(&error) && !(is_new && is_unreachable(&error)) => error,
                Err(error) => return Err(error),
            };
            if attempts.pause(&error, &self.publisher.counters, stop).await? == Paused::Stopped {
                return Ok(None);
            }
            self.publisher.announce(phase);
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
        let opener = Opener {
            replica_id: &self.replica_id,
            owner: &owner,
            allowed: self.allowed.as_ref(),
            was_handed_over: self.was_handed_over,
        };
        let publisher = &mut self.publisher;
        assemble::open(&self.config, opener, opening, |flows| publisher.counters_for(flows)).await
    }
}
