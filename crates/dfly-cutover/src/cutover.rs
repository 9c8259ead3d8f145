//! One cutover, from the first look to its release.

use std::time::Duration;

use dfly_check::{CheckConfig, InStep, Mended, Outcome, Pair, Progress, RunSignals, StepRun, Store, Verdict};
use dfly_journal::Lsn;
use dfly_replica::{Control, ControlError, EngineConfig, Phase, Report};
use dfly_wire::UnixMillis;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::evidence::{Evidence, Verified};
use crate::pause::Pause;
use crate::plan::{Method, Plan, Verify};
use crate::source::Source;
use crate::stage::{Doubt, Stage, Withdrawal};

/// How often the source is asked whether it was written to.
const LOOK: Duration = Duration::from_millis(250);

/// Keys that are compared at once while writes are stopped: the source answers a renewal of the pause only behind the requests that
/// it has begun.
const AT_ONCE: usize = 32;

/// What compares both sides in step with the run.
type Comparison = InStep<Control>;

/// A cutover of a running replication.
#[derive(Debug)]
pub struct Cutover {
    /// The replication's settings.
    pub config: EngineConfig,
    /// What is to be done.
    pub plan: Plan,
    /// The replication.
    pub control: Control,
    /// What it is doing.
    pub reports: watch::Receiver<Report>,
    /// Where it is told how far it has come.
    pub stage: watch::Sender<Stage>,
    /// Ends it when it holds `true`: writes go on.
    pub released: watch::Receiver<bool>,
}

impl From<ControlError> for Doubt {
    fn from(error: ControlError) -> Self {
        Self::NoReplication(error.to_string())
    }
}

impl Cutover {
    /// Runs until it is undone or released.
    pub async fn run(mut self) {
        let last = match Box::pin(self.approach()).await {
            Ok(Some(dry)) => dry,
            Ok(None) => match self.plan.method {
                Method::Pause => Box::pin(self.with_pause()).await,
                Method::None => Box::pin(self.without_pause()).await,
                Method::Takeover => Box::pin(self.with_takeover()).await,
            },
            Err(doubt) => Stage::Undone { doubt },
        };
        // A run that has ended needs nothing any more.
        drop(self.control.remember_keys(false).await);
        self.tell(last);
    }

    fn tell(&self, stage: Stage) {
        match &stage {
            Stage::Withdrawn { .. } | Stage::Undone { .. } => warn!("cutover: {stage}"),
            _ => info!("cutover: {stage}"),
        }
        self.stage.send_replace(stage);
    }

    /// Waits until little is missing, so that writes are stopped shortly. A dry run ends here.
    async fn approach(&mut self) -> Result<Option<Stage>, Doubt> {
        self.tell(Stage::Approaching);
        // Which of them is followed is not told here, and writes must not be stopped at another.
        if !self.config.other_sources.is_empty() && self.plan.method != Method::Takeover {
            let why = "the run names several addresses of its source; start it with the master's alone";
            return Err(Doubt::NotStopped(why.to_owned()));
        }
        self.control.remember_keys(true).await?;
        let (lag, records) = self.near().await?;
        if self.plan.is_dry {
            return Ok(Some(Stage::DryRun { lag, records }));
        }
        match self.plan.verify {
            Verify::None => return Ok(None),
            // What changes meanwhile is what is compared.
            Verify::Recent => sleep(self.plan.remembered).await,
            Verify::Full => {
                self.tell(Stage::Comparing);
                self.compare_all().await?;
            }
        }
        self.near().await.map(|_lag| None)
    }

    /// Waits until the lag is small. Gives it in milliseconds and records.
    async fn near(&self) -> Result<(u64, u64), Doubt> {
        let (mut reports, mut released) = (self.reports.clone(), self.released.clone());
        let small = self.plan.small_lag;
        tokio::select! {
            near = timeout(self.plan.patience, reports.wait_for(|report| is_near(report, small))) => match near {
                Ok(Ok(report)) => Ok(lag_of(&report)),
                Ok(Err(_ended)) => Err(Doubt::NoReplication("it has ended".to_owned())),
                Err(_elapsed) => Err(Doubt::NotNear(why_far(&self.reports.borrow()))),
            },
            Ok(_told) = released.wait_for(|released| *released) => {
                Err(Doubt::NotNear("somebody has ended the cutover".to_owned()))
            }
        }
    }

    /// Compares and repairs all keys, while writes go on.
    async fn compare_all(&self) -> Result<(), Doubt> {
        let not_compared = |error: &dyn std::fmt::Display| Doubt::NotCompared(error.to_string());
        let store = Store::temporary().map_err(|error| not_compared(&error))?;
        let (progress, _unseen) = watch::channel(Progress::default());
        let run =
            StepRun::new(self.comparison(), &store, RunSignals { progress, stop: self.released.clone() })
                .repairing();
        let summary = run.run(self.control.clone()).await.map_err(|error| not_compared(&error))?;
        match summary.outcome() {
            Outcome::Equal => Ok(()),
            Outcome::Different => Err(Doubt::Unequal(summary.different)),
            Outcome::Incomplete => Err(Doubt::Unequal(summary.not_compared.max(1))),
        }
    }

    fn comparison(&self) -> CheckConfig {
        CheckConfig { connections: 1, ..CheckConfig::new(self.config.clone()) }
    }

    async fn with_pause(&mut self) -> Stage {
        let comparison = match self.prepared().await {
            Ok(comparison) => comparison,
            Err(doubt) => return Stage::Undone { doubt },
        };
        self.tell(Stage::Stopping);
        let began = Instant::now();
        let pause = match Pause::begin(&self.config).await {
            Ok(pause) => pause,
            Err(why) => return Stage::Undone { doubt: Doubt::NotStopped(why) },
        };
        let safe = tokio::select! {
            safe = self.safe(Some(began), comparison) => safe,
            why = pause.ends() => Err(Doubt::NotRenewed(why)),
            () = until(&self.released) => {
                self.let_go(pause).await;
                return Stage::Released { evidence: None, withdrawn: None };
            }
        };
        let evidence = match safe {
            Ok(evidence) => evidence,
            Err(doubt) => {
                self.let_go(pause).await;
                return Stage::Undone { doubt };
            }
        };
        self.tell(Stage::Safe { evidence: evidence.clone() });
        let withdrawn = self.hold(&evidence, Some(&pause)).await;
        self.let_go(pause).await;
        Stage::Released { evidence: Some(evidence), withdrawn }
    }

    async fn let_go(&self, pause: Pause) {
        if let Err(why) = pause.end(&self.config).await {
            warn!(
                "the source does not say that writes go on ({why}); they do within {} ms",
                crate::pause::TERM.as_millis()
            );
        }
    }

    async fn without_pause(&mut self) -> Stage {
        let safe = match self.prepared().await {
            Ok(comparison) => self.safe(None, comparison).await,
            Err(doubt) => Err(doubt),
        };
        match safe {
            Err(doubt) => Stage::Undone { doubt },
            Ok(evidence) => {
                self.tell(Stage::Safe { evidence: evidence.clone() });
                let withdrawn = self.hold(&evidence, None).await;
                Stage::Released { evidence: Some(evidence), withdrawn }
            }
        }
    }

    /// Everything is compared before, because nothing can be read from the source behind it.
    async fn with_takeover(&mut self) -> Stage {
        let verified = match self.prepared().await {
            Ok(Some(comparison)) => self.compare_recent(comparison).await.map(Some),
            Ok(None) => Ok(None),
            Err(doubt) => Err(doubt),
        };
        let verified = match verified {
            Ok(verified) => verified,
            Err(doubt) => return Stage::Undone { doubt },
        };
        if self.reports.borrow().refetching() > 0 {
            let doubt = Doubt::NotNear("keys wait to be refetched, and the source would be gone".to_owned());
            return Stage::Undone { doubt };
        }
        self.tell(Stage::Stopping);
        let began = Instant::now();
        if let Err(error) = self.control.take_over(self.plan.timeout).await {
            return Stage::Undone { doubt: Doubt::NotStopped(error.to_string()) };
        }
        // Its answer is the evidence: every record is acknowledged, and only what is durable ever is.
        let flows = self.reports.borrow().flows.clone();
        let source = flows.iter().filter_map(|flow| flow.positions).map(|at| at.durable.0).collect();
        let evidence = Evidence { source, verified, stopped_for: Some(millis(began.elapsed())) };
        Stage::TakenOver { evidence }
    }

    /// The target has everything, or it is doubted.
    async fn safe(
        &self,
        stopped: Option<Instant>,
        comparison: Option<Comparison>,
    ) -> Result<Evidence, Doubt> {
        let limit = self.plan.timeout;
        let late = |_elapsed| Doubt::NotReached(millis(limit));
        timeout(limit, async {
            self.tell(Stage::Draining);
            let source = self.drain().await?;
            let verified = match comparison {
                None => None,
                Some(comparison) => {
                    self.tell(Stage::Verifying);
                    Some(self.compare_recent(comparison).await?)
                }
            };
            let stopped_for = stopped.map(|since| millis(since.elapsed()));
            let source = source.iter().map(|lsn| lsn.0).collect();
            Ok(Evidence { source, verified, stopped_for })
        })
        .await
        .map_err(late)?
    }

    /// Waits until the target holds everything, and the source has nothing more.
    async fn drain(&self) -> Result<Vec<Lsn>, Doubt> {
        let mut source = Source::new(&self.config);
        let mut lsns = source.lsns().await.map_err(Doubt::NotStopped)?;
        loop {
            self.control.reach(lsns.clone()).await?;
            let now = source.lsns().await.map_err(Doubt::NotStopped)?;
            if now == lsns {
                return Ok(lsns);
            }
            // What expires is journaled too.
            lsns = now;
        }
    }

    /// Connects to both sides, which takes a moment that writes are not stopped for.
    async fn prepared(&self) -> Result<Option<Comparison>, Doubt> {
        match self.plan.verify {
            Verify::None => Ok(None),
            Verify::Recent | Verify::Full => {
                let connecting = Box::pin(InStep::connect(self.comparison(), self.control.clone()));
                match timeout(self.plan.timeout, connecting).await {
                    Ok(Ok(comparison)) => Ok(Some(comparison)),
                    Ok(Err(error)) => Err(Doubt::NotCompared(error.to_string())),
                    Err(_elapsed) => {
                        let limit = millis(self.plan.timeout);
                        Err(Doubt::NotCompared(format!("a side does not answer within {limit} ms")))
                    }
                }
            }
        }
    }

    /// Compares in step what changed last. What differs is refetched.
    async fn compare_recent(&self, mut comparison: Comparison) -> Result<Verified, Doubt> {
        let recent = self.control.recent_keys().await?;
        let pairs: Vec<Pair> = recent.iter().filter_map(|key| comparison.pair(key)).collect();
        let mut mended = Mended::default();
        for some in pairs.chunks(AT_ONCE) {
            let compared = comparison.compare_and_mend(some.to_vec()).await;
            let compared = compared.map_err(|error| Doubt::NotCompared(error.to_string()))?;
            mended.verdicts.extend(compared.verdicts);
            mended.repaired += compared.repaired;
        }
        let is_fine = |verdict: &Verdict| match verdict {
            Verdict::Equal | Verdict::LeftOut(_) | Verdict::Unselected => true,
            Verdict::Different(_) | Verdict::NotCompared(_) => false,
        };
        let (fine, other): (Vec<_>, Vec<_>) = mended.verdicts.iter().partition(|told| is_fine(&told.verdict));
        match other.len() as u64 {
            0 => Ok(Verified { equal: fine.len() as u64, repaired: mended.repaired }),
            keys => Err(Doubt::Unequal(keys)),
        }
    }

    /// Goes on until it is released, and looks whether it is still safe to switch.
    async fn hold(&self, evidence: &Evidence, pause: Option<&Pause>) -> Option<Withdrawal> {
        let mut source = Source::new(&self.config);
        let (deletions, snapshot) = (self.deletions(), self.reports.borrow().milestones.snapshot);
        let (mut withdrawn, mut is_warned) = (None, false);
        loop {
            let is_final = withdrawn == Some(Withdrawal::CopiedAgain);
            let because = tokio::select! {
                () = until(&self.released) => return withdrawn,
                () = self.copies_again(snapshot), if !is_final => Some(Withdrawal::CopiedAgain),
                () = sleep(LOOK) => self.written(&mut source, evidence, deletions).await,
            };
            let doubt = pause.and_then(|pause| pause.doubt(Instant::now()));
            if let Some(why) = doubt.as_ref().filter(|_| !is_warned) {
                warn!("the pause of writes may have ended: {why}");
            }
            is_warned = doubt.is_some();
            if let Some(because) =
                because.filter(|because| withdrawn.as_ref().is_none_or(|it| exceeds(because, it)))
            {
                withdrawn = Some(because.clone());
                self.tell(Stage::Withdrawn { evidence: evidence.clone(), because });
            }
        }
    }

    /// Waits until the run has begun another snapshot than this. One that has ended never does.
    async fn copies_again(&self, snapshot: Option<UnixMillis>) {
        let mut reports = self.reports.clone();
        let has_begun = |report: &Report| report.milestones.snapshot != snapshot;
        if reports.wait_for(has_begun).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether somebody has written to the source, as far as the run has seen. Before that there were so many deletions.
    async fn written(&self, source: &mut Source, evidence: &Evidence, deletions: u64) -> Option<Withdrawal> {
        let lsns = source.lsns().await.ok()?;
        let records: u64 =
            lsns.iter().zip(&evidence.source).map(|(now, then)| now.0.saturating_sub(*then)).sum();
        // What expires on the source is deleted by records. They are no writes of a client.
        let records = records.saturating_sub(self.deletions().saturating_sub(deletions));
        (records > 0 && self.holds(&lsns)).then_some(Withdrawal::Written { records })
    }

    /// Whether the run has seen everything before these positions, so that its counts tell of them.
    fn holds(&self, lsns: &[Lsn]) -> bool {
        let report = self.reports.borrow();
        report.flows.iter().zip(lsns).all(|(flow, lsn)| flow.positions.is_some_and(|at| at.received >= *lsn))
    }

    fn deletions(&self) -> u64 {
        self.reports.borrow().flows.iter().map(|flow| flow.deletions).sum()
    }
}

/// Whether this tells more than what was told before.
fn exceeds(because: &Withdrawal, told: &Withdrawal) -> bool {
    match (because, told) {
        (Withdrawal::Written { records }, Withdrawal::Written { records: before }) => records > before,
        (Withdrawal::CopiedAgain, Withdrawal::Written { .. }) => true,
        // Positions count anew.
        (_, Withdrawal::CopiedAgain) => false,
    }
}

async fn until(released: &watch::Receiver<bool>) {
    let mut released = released.clone();
    if released.wait_for(|released| *released).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn is_near(report: &Report, small: Duration) -> bool {
    let is_close = |flow: &dfly_replica::FlowReport| flow.lag.is_some_and(|lag| lag.time <= small);
    let follows = report.phase == Phase::StableSync && !report.flows.is_empty();
    follows && !report.is_removing_extra_keys && !report.is_paused && report.flows.iter().all(is_close)
}

fn lag_of(report: &Report) -> (u64, u64) {
    let lags = || report.flows.iter().filter_map(|flow| flow.lag);
    (lags().map(|lag| millis(lag.time)).max().unwrap_or(0), lags().map(|lag| lag.records).sum())
}

fn why_far(report: &Report) -> String {
    let (lag, records) = lag_of(report);
    match report.phase {
        Phase::StableSync if report.is_paused => "the run is paused".to_owned(),
        Phase::StableSync if report.is_removing_extra_keys => {
            "keys that the source does not have are still being removed".to_owned()
        }
        Phase::StableSync => format!("it is {records} records and {lag} ms behind"),
        phase => format!("the run is in {phase}"),
    }
}
