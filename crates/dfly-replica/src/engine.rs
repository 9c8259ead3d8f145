//! The run as a whole: session after session until it is told to stop.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use dfly_translate::Flush;
use redis_resp::Reply;
use redis_sink::{SinkError, WindowError};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::backoff::Backoff;
use crate::checkpoint::{Checkpoint, Stored};
use crate::config::EngineConfig;
use crate::error::{Error, FlowError};
use crate::report::{Counters, Phase, Report};
use crate::session::{self, Observer, SessionEnd, connect_target};
use crate::state_file::{SavedState, StateFile};
use crate::stop::{Stop, stopped_during, told};

/// How the next session begins.
#[derive(Debug)]
enum Start {
    /// With a full synchronisation.
    Fresh,
    /// From what the target has stored in a run before.
    Stored(Checkpoint),
    /// From where this run stood when it lost the source.
    Lost(Checkpoint),
}

impl Start {
    fn resume(&self) -> Option<&Checkpoint> {
        match self {
            Self::Fresh => None,
            Self::Stored(checkpoint) | Self::Lost(checkpoint) => Some(checkpoint),
        }
    }
}

/// A replication that can be run once.
#[derive(Debug)]
pub struct Engine {
    config: Arc<EngineConfig>,
    publisher: Publisher,
    /// 40 hexadecimal characters.
    replica_id: String,
    chance: RandomState,
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
    pub fn new(config: EngineConfig) -> (Self, watch::Receiver<Report>) {
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
        (Self { config, publisher, replica_id: replica_id.chars().take(40).collect(), chance }, receiver)
    }

    /// Replicates until `stop` says otherwise, and gives the last report.
    ///
    /// # Errors
    /// [`Error`], when the run cannot go on.
    pub async fn run(mut self, mut stop: watch::Receiver<Stop>) -> Result<Report, Error> {
        if let Some(dir) = &self.config.state_dir {
            self.publisher.state = Some(StateFile::in_dir(dir)?);
        }
        let stored = tokio::select! {
            stored = self.stored() => Some(stored?),
            () = told(&mut stop) => None,
        };
        if let Some(stored) = stored {
            let ended = self.sessions(stored, &mut stop).await;
            self.note_refusal(&ended).await;
            ended?;
        }
        self.publisher.announce(Phase::Stopped);
        Ok(self.publisher.reports.borrow().clone())
    }

    /// Checks the target, and reads from where the run before can be resumed.
    async fn stored(&self) -> Result<Start, Error> {
        let (mut target, _) = connect_target(&self.config).await?;
        match Checkpoint::load(&mut target).await? {
            _ if self.config.force_resync => Ok(Start::Fresh),
            Stored::Nothing => Ok(Start::Fresh),
            Stored::Whole(checkpoint) => {
                info!(
                    source = checkpoint.source_id,
                    "the target holds the positions of a run before: asking the source to resume"
                );
                Ok(Start::Stored(checkpoint))
            }
            Stored::Refused(reason) => Err(Error::RefusedBefore { reason }),
        }
    }

    /// A command that was refused when its transaction ran is behind the stored position: the next run must not go on
    /// as if it had been carried out (P5). One that was refused before, when it was queued, took its whole transaction
    /// and the position with it.
    async fn note_refusal(&self, ended: &Result<(), Error>) {
        let Err(error @ Error::Flow { error: FlowError::Sink(SinkError::Window(inside)), .. }) = ended else {
            return;
        };
        let WindowError::RefusedInside(_) = inside else { return };
        let noted = match connect_target(&self.config).await {
            Ok((mut target, _)) => Checkpoint::refuse(&mut target, &error.to_string()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = noted {
            warn!(%error, "the refusal could not be noted at the target; run with --force-resync");
        }
    }

    /// Session after session until the run is told to stop.
    async fn sessions(&mut self, mut start: Start, stop: &mut watch::Receiver<Stop>) -> Result<(), Error> {
        loop {
            let running = match self.connect(&start, stop).await {
                Ok(Some(running)) => running,
                Ok(None) => return Ok(()),
                Err(Error::CannotResume) if matches!(start, Start::Stored(_)) => {
                    warn!(
                        "the source cannot resume from there (its backlog is too short, or it is another process): synchronising fully; keys that it has deleted meanwhile stay on the target"
                    );
                    start = Start::Fresh;
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.publisher.source_id = Some(running.source_id());
            start = match running.run(stop, &mut self.publisher).await? {
                SessionEnd::Stopped => return Ok(()),
                SessionEnd::Flushed(flush) => {
                    info!(
                        "the source was flushed during the full synchronisation: flushing the target and starting over"
                    );
                    self.flush(flush).await?;
                    Start::Fresh
                }
                SessionEnd::SourceLost { positions: None, cause } => {
                    return Err(Error::LostInFullSync { cause });
                }
                SessionEnd::SourceLost { positions: Some(positions), cause } => {
                    warn!(%cause, "the source is gone; connecting again");
                    Start::Lost(positions)
                }
            };
        }
    }

    /// Opens a session. Attempts are repeated, with backoff, until one succeeds, `stop` is told, or it took too long; but
    /// a source that cannot be reached at all when the run starts is an error at once: its address may be wrong.
    async fn connect(
        &mut self,
        start: &Start,
        stop: &mut watch::Receiver<Stop>,
    ) -> Result<Option<session::Running>, Error> {
        let lost = matches!(start, Start::Lost(_));
        let reconnect = self.config.reconnect;
        let mut backoff = Backoff::new(reconnect.first_delay, reconnect.longest_delay);
        let (started, mut attempts) = (Instant::now(), 0u64);
        self.publisher.announce(if lost { Phase::Reconnecting } else { Phase::Connecting });
        loop {
            let opened = tokio::select! {
                opened = self.open(start.resume()) => opened,
                () = told(stop) => return Ok(None),
            };
            let error = match opened {
                Ok(running) => return Ok(Some(running)),
                Err(error) if error.is_passing() && (lost || !error.is_unreachable()) => error,
                Err(error) => return Err(error),
            };
            let tried = Instant::now().saturating_duration_since(started);
            if reconnect.give_up_after.is_some_and(|limit| tried >= limit) {
                return Err(Error::GaveUp { after: tried, last: error.to_string() });
            }
            attempts += 1;
            let delay = backoff.next_delay(self.chance(attempts));
            warn!(%error, retry_in_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), "no session with the source");
            if stopped_during(delay, stop).await {
                return Ok(None);
            }
        }
    }

    async fn open(&mut self, resume: Option<&Checkpoint>) -> Result<session::Running, Error> {
        let publisher = &mut self.publisher;
        let counters = |flows: u16| {
            if publisher.counters.flow_count() != usize::from(flows) {
                publisher.counters = Arc::new(Counters::new(flows));
            }
            Arc::clone(&publisher.counters)
        };
        session::open(&self.config, &self.replica_id, resume, counters).await
    }

    fn chance(&self, attempt: u64) -> u16 {
        let mut hasher = self.chance.build_hasher();
        hasher.write_u64(attempt);
        let [low, high, ..] = hasher.finish().to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    /// Empties the target as the source was emptied.
    async fn flush(&self, flush: Flush) -> Result<(), Error> {
        let (mut connection, _) = connect_target(&self.config).await?;
        let requests: Vec<Vec<String>> = match flush {
            Flush::All => vec![vec!["FLUSHALL".into()]],
            Flush::Db(db) => vec![vec!["SELECT".into(), db.to_string()], vec!["FLUSHDB".into()]],
        };
        for request in requests {
            if let Reply::Error(error) = connection.ask(&request).await? {
                return Err(Error::Internal(format!("the target refuses {}: {error}", request.join(" "))));
            }
        }
        Ok(())
    }
}
