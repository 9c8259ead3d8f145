//! Gathers the facts and has them judged: at length for `prepare`, shortly before a first start.

use std::time::{Duration, Instant};

use dfly_replica::{Checkpoint, EngineConfig, Error, Rehearsed, Stored, connect_target};
use redis_resp::connection::Endpoint;
use tokio::time::timeout;

use crate::check::Skipped;
use crate::facts::{
    Facts, Gathering, Mirror, Sampling, addresses, format_of, host_facts, measure, payload_facts,
    source_facts, target_facts,
};
use crate::finding::{Finding, Severity};
use crate::findings::{Judging, needed, of_a_start};
use crate::report::{Estimates, Report, TypeEstimate, number_of, seconds};
use crate::resolve::Resolve;

/// The longest that a start waits for its checks. What is not known by then is not checked.
const AT_START: Duration = Duration::from_secs(3);

/// What is looked at before a first start: enough to see what would stop the run.
const FEW: Sampling = Sampling {
    keys: 1000,
    values: 1000,
    bytes: 4 << 20,
    time: Duration::from_millis(300),
    into_cluster: false,
};

/// What `prepare` looks at.
const MANY: Sampling =
    Sampling { keys: 6000, values: 6000, bytes: 64 << 20, time: Duration::from_secs(2), into_cluster: false };

/// Looks at both ends before a replication begins.
#[derive(Debug, Clone)]
pub struct Prepare {
    /// The settings of the run.
    pub config: EngineConfig,
    /// Checks that are not made.
    pub skipped: Skipped,
    /// Whether the first seconds of the snapshot are measured.
    pub measures: bool,
    /// What to do about an error of the engine, in the words of whoever reads it.
    pub advice: fn(&Error) -> String,
    /// Where addresses of names come from.
    pub resolve: Resolve,
    /// Where the time comes from.
    pub now: fn() -> Instant,
}

/// When a start makes its checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Nothing was copied yet: before it begins.
    First,
    /// The target holds positions: beside the run, since seconds cost the resume window.
    Resumes,
    /// The target does not say: the engine says why.
    Unknown,
}

impl Prepare {
    /// Looks at everything.
    pub async fn run(&self) -> Report {
        let began = (self.now)();
        let mut facts = Box::pin(self.facts(true)).await;
        // It names its connections as a run does, so the runs that are connected are counted before.
        facts.rehearsed = Some(Box::pin(Rehearsed::of(&self.config)).await);
        if self.measures && facts.rehearsed.as_ref().is_some_and(|found| found.source.is_some()) {
            let mirror = self.mirror(&facts);
            facts.measured = Some(Box::pin(measure(&self.config, mirror.as_ref())).await);
        }
        let judging = Judging { facts: &facts, config: &self.config, advice: self.advice };
        let findings = judging.findings(&self.skipped);
        let estimates = estimates(&judging);
        let rehearsed = facts.rehearsed.as_ref().and_then(|found| found.source.as_ref());
        Report {
            source: rehearsed.map_or_else(|| self.config.source.to_string(), |source| source.address.clone()),
            target: self.config.target.to_string(),
            release: rehearsed.map(|source| source.release.clone()).filter(|release| !release.is_empty()),
            flows: rehearsed.map(|source| source.flows),
            estimates,
            blockers: number_of(&findings, Severity::Blocker),
            warnings: number_of(&findings, Severity::Warning),
            seconds: seconds((self.now)().duration_since(began)),
            findings,
        }
    }

    /// Where what is measured is written: to a single server that a run could write to.
    fn mirror(&self, facts: &Facts) -> Option<Mirror> {
        facts.rehearsed.as_ref().and_then(|found| found.target.as_ref())?;
        let target = facts.target.as_ref().filter(|target| !target.is_cluster)?;
        let format = format_of(&target.nodes.first()?.info)?;
        let prefix = format!("{}probe:", self.config.rules.names.prefix());
        Some(Mirror { endpoint: self.config.target.clone(), format, prefix })
    }

    /// Whether a start is the first.
    pub async fn start(&self) -> Start {
        let stored = async {
            let (mut target, _) = connect_target(&self.config).await?;
            Checkpoint::load(&mut target).await
        };
        match timeout(AT_START, Box::pin(stored)).await {
            Ok(Ok(Stored::Whole(_))) if !self.config.force_resync => Start::Resumes,
            Ok(Ok(_)) => Start::First,
            Ok(Err(_)) | Err(_) => Start::Unknown,
        }
    }

    /// What is found before a first start, besides what the engine finds itself: warnings and blockers. A server that does not
    /// answer in time is left to the engine.
    pub async fn at_start(&self) -> Vec<Finding> {
        let Ok(facts) = timeout(AT_START, Box::pin(self.facts(false))).await else { return Vec::new() };
        let judging = Judging { facts: &facts, config: &self.config, advice: self.advice };
        of_a_start(judging.findings(&self.skipped))
    }

    async fn facts(&self, is_patient: bool) -> Facts {
        let (config, resolve, now) = (&self.config, self.resolve, self.now);
        let sampling = if is_patient { MANY } else { FEW };
        let (mut facts, sources, targets) = (Facts::default(), sources(config), targets(config));
        let target = target_facts(config, is_patient, now);
        if is_patient {
            (facts.source_addresses, facts.target_addresses, facts.target) = tokio::join!(
                addresses(&sources, resolve, now),
                addresses(&targets, resolve, now),
                Box::pin(target)
            );
        } else {
            facts.target = Box::pin(target).await;
        }
        let into_cluster = facts.target.as_ref().is_some_and(|target| target.is_cluster);
        let gathering = Gathering { sampling: Sampling { into_cluster, ..sampling }, is_patient, now };
        if let Some((source, payloads)) = Box::pin(source_facts(config, gathering)).await {
            facts.source = Some(source);
            if let Some(target) = facts.target.as_mut().filter(|_| is_patient) {
                Box::pin(payload_facts(config, target, &payloads)).await;
            }
        }
        facts.host = host_facts(config.state_dir.as_deref());
        facts
    }
}

fn sources(config: &EngineConfig) -> Vec<&Endpoint> {
    [&config.source].into_iter().chain(&config.other_sources).collect()
}

fn targets(config: &EngineConfig) -> Vec<&Endpoint> {
    [&config.target].into_iter().chain(&config.other_targets).collect()
}

fn estimates(judging: &Judging<'_>) -> Option<Estimates> {
    let sample = &judging.facts.source.as_ref()?.sample;
    let kind = |(kind, estimate): (&str, crate::sample::Estimate)| {
        (kind.to_owned(), TypeEstimate { keys: estimate.count, margin: estimate.margin })
    };
    let measured = judging.facts.measured.as_ref().and_then(|measured| measured.as_ref().ok());
    Some(Estimates {
        keys: sample.total,
        sampled: sample.keys,
        expires: sample.expires,
        types: sample.by_kind().into_iter().map(kind).collect(),
        source_bytes: Some(sample.source_bytes()).filter(|bytes| *bytes > 0),
        target_bytes: needed(judging, sample),
        snapshot_seconds: measured.and_then(|measured| measured.whole_takes(sample.total)).map(seconds),
    })
}
