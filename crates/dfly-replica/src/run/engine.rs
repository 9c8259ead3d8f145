//! The run as a whole: session after session until it is told to stop.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use dfly_translate::{Emptied, Flush};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::backoff::Backoff;
use crate::checkpoint::{Checkpoint, Others, Stored};
use crate::cluster;
use crate::config::{EngineConfig, OnConflict, OnStart};
use crate::error::{Error, FlowError};
use crate::kept;
use crate::lasting::Lasting;
use crate::report::{Counters, Phase, Report};
use crate::session::{self, Observer, Opening, SessionEnd};
use crate::state_file::{SavedState, StateFile};
use crate::stop::{Stop, stopped_during, told};
use crate::sweep::{self, Keys};
use crate::target::{self, TargetConnection, connect_target, databases};

/// A replication that can be run once.
#[derive(Debug)]
pub struct Engine {
    config: Arc<EngineConfig>,
    publisher: Publisher,
    /// 40 hexadecimal characters.
    replica_id: String,
    chance: RandomState,
    /// Attempts to connect that failed.
    attempts: u64,
    /// Sessions that were begun: each claims the target under a name of its own.
    claims: u64,
    /// The masters that this run has followed.
    followed: BTreeSet<String>,
}

#[derive(Debug)]
struct Publisher {
    reports: watch::Sender<Report>,
    counters: Arc<Counters>,
    source_id: Option<String>,
    state: Option<StateFile>,
    /// The phase that was saved last, and when.
    saved: Option<(Phase, Instant)>,
    config: Arc<EngineConfig>,
}

impl Publisher {
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
}

impl Observer for Publisher {
    fn publish(&mut self, phase: Phase, counters: &Counters) {
        let report = counters.report(phase, self.source_id.clone());
        self.save(&report);
        self.reports.send_replace(report);
    }
}

impl Engine {
    /// A run by these settings, and where its reports appear.
    pub fn new(mut config: EngineConfig) -> (Self, watch::Receiver<Report>) {
        // The engine serves what has to be read again.
        Arc::make_mut(&mut config.rules).rereads = true;
        let (reports, receiver) = watch::channel(Report::default());
        let config = Arc::new(config);
        let counters = Arc::new(Counters::new(0));
        let publisher = Publisher {
            reports,
            counters,
            source_id: None,
            state: None,
            saved: None,
            config: Arc::clone(&config),
        };
        let chance = RandomState::new();
        let replica_id = (0..3).map(|part| format!("{:016x}", chance.hash_one(part))).collect::<String>();
        (
            Self {
                config,
                publisher,
                replica_id: replica_id.chars().take(40).collect(),
                chance,
                attempts: 0,
                claims: 0,
                followed: BTreeSet::new(),
            },
            receiver,
        )
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
        let mut backoff =
            Backoff::new(self.config.reconnect.first_delay, self.config.reconnect.longest_delay);
        let started = Instant::now();
        loop {
            let opened = tokio::select! {
                opened = self.first() => opened,
                () = told(stop) => return Ok(None),
            };
            let error = match opened {
                Ok(opening) => return Ok(Some(opening)),
                Err(error) if target::is_passing(&error) && !target::is_unreachable(&error) => error,
                Err(error) => return Err(error),
            };
            self.give_up_at(("target", started), &error)?;
            if self.pause(&mut backoff, &error, stop).await {
                return Ok(None);
            }
        }
    }

    /// What the first session begins with: checks the target, and reads where a run before stood.
    async fn first(&mut self) -> Result<Opening, Error> {
        let (mut target, _) = connect_target(&self.config).await?;
        let opening = self.first_opening(&mut target).await?;
        if self.config.on_conflict != OnConflict::Overwrite {
            let kept = match opening {
                Opening::Full(Others::Keep) if Checkpoint::load(&mut target).await? == Stored::Nothing => {
                    kept::note(&mut target, &self.config).await?
                }
                _ => kept::load(&mut target, &self.config).await?,
            };
            let config = Arc::make_mut(&mut self.config);
            Arc::make_mut(&mut config.rules).selection.kept = kept;
        }
        Ok(opening)
    }

    /// What the target knows the next session by.
    fn owner(&self) -> String {
        format!("{}:{}", self.replica_id, self.claims)
    }

    /// What the target holds of a session before, of which nothing is carried out any more from here on. A target that
    /// holds nothing is claimed when something is first written.
    async fn claim(&mut self, target: &mut TargetConnection) -> Result<Stored, Error> {
        self.claims += 1;
        if Checkpoint::load(target).await? == Stored::Nothing {
            return Ok(Stored::Nothing);
        }
        Checkpoint::claim(target, &self.owner()).await?;
        target::evict_others(target, &self.config.rules.names.connection()).await?;
        cluster::flush::finish(target, (&self.owner(), self.config.wait_replicas)).await?;
        match Checkpoint::load(target).await? {
            Stored::Whole(at) if !cluster::witness::agree(target, &self.config.rules.names, &at).await? => {
                warn!(
                    "a primary of the target has lost data that it had acknowledged (was it restarted without an append-only file, or replaced by a replica that lacked some?): synchronising fully"
                );
                Ok(Stored::Unfinished)
            }
            stored => Ok(stored),
        }
    }

    async fn first_opening(&mut self, target: &mut TargetConnection) -> Result<Opening, Error> {
        if !self.config.force_resync {
            Lasting::load(target).await?.check(&self.config)?;
        }
        match self.claim(target).await? {
            Stored::Refused(reason) if !self.config.force_resync => Err(Error::RefusedBefore { reason }),
            Stored::Nothing => self.first_start(target).await.map(Opening::Full),
            Stored::Whole(checkpoint) if !self.config.force_resync => {
                info!(
                    source = checkpoint.source_id,
                    "the target holds the positions of a run before: asking the source to resume"
                );
                Ok(Opening::Partial(checkpoint))
            }
            Stored::Whole(_) | Stored::Unfinished | Stored::Refused(_) => Self::anew(target).await,
        }
    }

    /// A first start, with what the user wants done about keys that are there.
    async fn first_start(&self, target: &mut TargetConnection) -> Result<Others, Error> {
        let keys = self.foreign_keys(target).await?;
        match self.config.on_start {
            _ if keys == 0 => Ok(Others::None),
            OnStart::RequireEmpty => Err(Error::NotEmpty { keys }),
            OnStart::Merge => Ok(Others::Keep),
            OnStart::Mirror => Ok(Others::Remove),
            OnStart::Flush => {
                warn!(keys, "emptying the target, as --on-start flush says");
                target::empty(target, &self.owner()).await?;
                Ok(Others::None)
            }
        }
    }

    /// How many keys the target holds; 0 if they are all this tool's own.
    async fn foreign_keys(&self, target: &mut TargetConnection) -> Result<u64, Error> {
        for db in databases(target).await? {
            let mut keys = Keys::of(&self.config, db).await?;
            while let Some(found) = keys.next().await? {
                if !found.is_empty() {
                    return target::count_keys(target).await;
                }
            }
        }
        Ok(0)
    }

    /// A full synchronisation over what one before has left.
    async fn anew(target: &mut TargetConnection) -> Result<Opening, Error> {
        let keeps = Lasting::load(target).await?.keep;
        Ok(Opening::Full(if keeps { Others::Keep } else { Others::Remove }))
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
            warn!(%error, "the refusal could not be noted at the target; run with --force-resync");
        }
    }

    /// Session after session until the run is told to stop.
    async fn sessions(
        &mut self,
        mut opening: Opening,
        stop: &mut watch::Receiver<Stop>,
    ) -> Result<(), Error> {
        let mut first = true;
        loop {
            let running = match self.connect((&mut opening, first), stop).await {
                Ok(Some(running)) => running,
                Ok(None) => return Ok(()),
                // Within a run it is the same source, restarted; a first start may have the wrong one.
                Err(error @ Error::OtherSource { .. }) if first => return Err(error),
                Err(
                    error @ (Error::CannotResume { .. } | Error::AheadOfSource | Error::OtherSource { .. }),
                ) => {
                    warn!(%error, "synchronising fully");
                    let (mut target, _) = connect_target(&self.config).await?;
                    opening = Self::anew(&mut target).await?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            first = false;
            self.followed.insert(running.source_id());
            self.publisher.source_id = Some(running.source_id());
            let end = running.run(stop, &mut self.publisher).await?;
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
        match &end {
            SessionEnd::Stopped => return Ok(None),
            SessionEnd::Flushed(flush) => {
                info!(
                    "the source was flushed during the full synchronisation: flushing the target and starting over"
                );
                self.flush(*flush).await?;
            }
            SessionEnd::SourceLost(true, cause) => warn!(%cause, "the source is gone; connecting again"),
            SessionEnd::SourceLost(false, cause) => {
                warn!(%cause, "the source is gone during the full synchronisation; connecting again to start over");
            }
            SessionEnd::TargetLost(cause) => warn!(%cause, "the target is gone; connecting again"),
        }
        let mut backoff =
            Backoff::new(self.config.reconnect.first_delay, self.config.reconnect.longest_delay);
        let started = Instant::now();
        self.publisher.announce(Phase::Reconnecting);
        loop {
            let error = match self.again().await {
                Ok(opening) => return Ok(Some(opening)),
                Err(error) if target::is_passing(&error) => error,
                Err(error) => return Err(error),
            };
            self.give_up_at(("target", started), &error)?;
            if self.pause(&mut backoff, &error, stop).await {
                return Ok(None);
            }
        }
    }

    /// Where the target stands between two sessions.
    async fn again(&mut self) -> Result<Opening, Error> {
        match self.stands().await? {
            // Another run has followed a fail-over: to go on with the old master would undo that.
            Opening::Partial(at) if !self.followed.contains(&at.source_id) => Err(Error::Overtaken),
            opening => Ok(opening),
        }
    }

    /// Where the target stands in the middle of a run.
    async fn stands(&mut self) -> Result<Opening, Error> {
        let (mut target, _) = connect_target(&self.config).await?;
        match self.claim(&mut target).await? {
            Stored::Whole(checkpoint) => Ok(Opening::Partial(checkpoint)),
            Stored::Unfinished => Self::anew(&mut target).await,
            Stored::Refused(reason) => Err(Error::RefusedBefore { reason }),
            // Of a cluster it may have been the node alone that had the positions.
            Stored::Nothing if cluster::passed::is_any(&mut target, &self.config.rules.names).await? => {
                let keeps = self.config.on_start == OnStart::Merge;
                Ok(Opening::Full(if keeps { Others::Keep } else { Others::Remove }))
            }
            // It was emptied, or came back without its data, or is another server by now.
            Stored::Nothing => self.first_start(&mut target).await.map(Opening::Full),
        }
    }

    /// Opens a session. Attempts are repeated, with backoff, until one succeeds, `stop` is told, or it took too long; but
    /// a source that cannot be reached at all when the run starts is an error at once: its address may be wrong.
    async fn connect(
        &mut self,
        (opening, first): (&mut Opening, bool),
        stop: &mut watch::Receiver<Stop>,
    ) -> Result<Option<session::Running>, Error> {
        let reconnect = self.config.reconnect;
        let mut backoff = Backoff::new(reconnect.first_delay, reconnect.longest_delay);
        let started = Instant::now();
        self.publisher.announce(if first { Phase::Connecting } else { Phase::Reconnecting });
        let mut is_known = true;
        loop {
            let opened = tokio::select! {
                opened = self.attempt(opening, is_known) => opened,
                () = told(stop) => return Ok(None),
            };
            let error = match opened {
                Ok(running) => return Ok(Some(running)),
                Err(error) if error.is_passing() && !(first && error.is_unreachable()) => error,
                Err(error) if target::is_passing(&error) && !(first && target::is_unreachable(&error)) => {
                    error
                }
                Err(error) => return Err(error),
            };
            self.give_up_at(("source", started), &error)?;
            if self.pause(&mut backoff, &error, stop).await {
                return Ok(None);
            }
            is_known = false;
        }
    }

    /// One attempt. One before that failed late may have taken the positions over to the source's successor, and it is not
    /// known then whether the target was claimed: nothing is opened before that is.
    async fn attempt(&mut self, opening: &mut Opening, is_known: bool) -> Result<session::Running, Error> {
        if !is_known && matches!(opening, Opening::Partial(_)) {
            *opening = self.stands().await?;
        }
        self.open(opening).await
    }

    fn give_up_at(&self, (peer, started): (&'static str, Instant), error: &Error) -> Result<(), Error> {
        let tried = started.elapsed();
        match self.config.reconnect.give_up_after {
            Some(limit) if tried >= limit => {
                Err(Error::GaveUp { peer, after: tried, last: error.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// Waits before the next attempt; true if the run is told to stop meanwhile.
    async fn pause(
        &mut self,
        backoff: &mut Backoff,
        error: &Error,
        stop: &mut watch::Receiver<Stop>,
    ) -> bool {
        self.attempts += 1;
        let delay = backoff.next_delay(self.chance(self.attempts));
        warn!(%error, retry_in_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), "no session");
        stopped_during(delay, stop).await
    }

    async fn open(&mut self, opening: &Opening) -> Result<session::Running, Error> {
        let owner = self.owner();
        let publisher = &mut self.publisher;
        let counters = |flows: u16| {
            if publisher.counters.flow_count() != usize::from(flows) {
                publisher.counters = Arc::new(Counters::new(flows));
            }
            Arc::clone(&publisher.counters)
        };
        session::open(&self.config, (&self.replica_id, &owner), opening, counters).await
    }

    fn chance(&self, attempt: u64) -> u16 {
        let mut hasher = self.chance.build_hasher();
        hasher.write_u64(attempt);
        let [low, high, ..] = hasher.finish().to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    /// Empties the target as the source was emptied.
    async fn flush(&self, flush: Flush) -> Result<(), Error> {
        let (mut target, _) = connect_target(&self.config).await?;
        match flush.on_target(&self.config.rules.selection) {
            Emptied::Nothing => {}
            Emptied::Covered(db) => sweep::empty(&self.config, db).await?,
            Emptied::All => target::empty(&mut target, &self.owner()).await?,
            Emptied::Db(_) if target.is_cluster() => target::empty(&mut target, &self.owner()).await?,
            Emptied::Db(db) => {
                target.select(db).await?;
                target::demand(&mut target, "FLUSHDB", &["FLUSHDB"]).await?;
            }
        }
        Ok(())
    }
}
