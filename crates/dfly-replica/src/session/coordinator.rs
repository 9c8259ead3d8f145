//! One session with the source: the control connection, and a task for each flow.

mod notes;
mod open;
mod resume;

use std::collections::BTreeMap;
use std::sync::Arc;

use dfly_client::driver::ControlConn;
use dfly_client::{FlowId, Session, StartStable};
use dfly_journal::Lsn;
use dfly_translate::Flush;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use crate::barrier::{CutBarrier, FlushBarrier};
use crate::checkpoint::Checkpoint;
use crate::cluster::confirm::Runs;
use crate::config::EngineConfig;
use crate::error::{Error, FlowError};
use crate::flow::{FlowEnd, Order, Signal};
use crate::ghosts;
use crate::lasting::Lasting;
use crate::look::Lines;
use crate::report::{Counters, Phase};
use crate::stop::{Stop, told};

pub(crate) use open::{Opening, open};

/// How a session ended without an error.
#[derive(Debug)]
pub(crate) enum SessionEnd {
    /// It was told to stop.
    Stopped,
    /// The source is gone; `true`: in stable sync.
    SourceLost(bool, String),
    /// The target is gone, or holds less than it had answered.
    TargetLost(String),
    /// The source was flushed while its snapshot was read: the target is to be flushed and the sync to be repeated.
    Flushed(Flush),
}

/// Where reports go while a session runs.
pub(crate) trait Observer {
    /// Called when the phase changes and once an interval.
    fn publish(&mut self, phase: Phase, counters: &Counters);
}

/// A running session.
pub(crate) struct Running {
    config: Arc<EngineConfig>,
    control: ControlConn,
    session: Session,
    counters: Arc<Counters>,
    /// What the target knows this session by.
    owner: String,
    phase: Phase,
    tasks: JoinSet<(FlowId, Result<FlowEnd, FlowError>)>,
    signals: mpsc::Receiver<(FlowId, Signal)>,
    orders: BTreeMap<FlowId, mpsc::Sender<Order>>,
    findings: Lines,
    stop_flows: watch::Sender<bool>,
    cut: CutBarrier,
    flush: FlushBarrier,
    /// Taken when the stable stream is asked for.
    start_stable: Option<StartStable>,
    stable: usize,
    ends: BTreeMap<FlowId, Option<Lsn>>,
    lost: Option<String>,
    target_lost: Option<String>,
    flushed: Option<Flush>,
    /// What a flush must not take with it.
    lasting: Lasting,
    /// The primaries of a cluster when the session begins.
    runs: Runs,
    /// Whether the target may hold other values when the session begins.
    over_data: bool,
    /// Whether a flow does not know what expires there.
    unknown_expiries: bool,
    /// What finds out what expires on a target that was written to before.
    scan: Option<tokio::task::JoinHandle<()>>,
    /// What looks for them.
    sweep: Option<tokio::task::JoinHandle<Result<(), Error>>>,
}

impl Running {
    async fn ask_stable(&mut self) -> Result<(), Error> {
        if let Some(start) = self.start_stable.take() {
            let reply = self.control.ask(&start.request()).await?;
            start.on_reply(&reply)?;
        }
        Ok(())
    }

    /// The source's replication id.
    pub(crate) fn source_id(&self) -> String {
        self.session.replication_id.to_string()
    }

    /// Runs until every flow has ended.
    pub(crate) async fn run(
        mut self,
        stop: &mut watch::Receiver<Stop>,
        observer: &mut (impl Observer + Send),
    ) -> Result<SessionEnd, Error> {
        let mut ping = ticks(self.config.ping_interval);
        let mut report = ticks(self.config.report_interval);
        let mut stopped = false;
        loop {
            tokio::select! {
                () = told(stop), if !stopped => {
                    stopped = true;
                    info!("stopping: waiting for the target to answer what is in flight");
                    self.stop_flows.send_replace(true);
                }
                Some((flow, signal)) = self.signals.recv() => self.on_signal(flow, signal).await?,
                ended = self.tasks.join_next() => match ended {
                    // What is in flight when the run is told to stop is to become durable.
                    Some(Ok((flow, Ok(FlowEnd::TargetLost(error))))) if stopped => {
                        return Err(Error::Flow { flow, error });
                    }
                    Some(Ok((flow, end))) => self.on_end(flow, end)?,
                    Some(Err(error)) => return Err(Error::Internal(error.to_string())),
                    None => break,
                },
                ended = swept(&mut self.sweep) => self.on_sweep(ended),
                _ = ping.tick(), if self.lost.is_none() && !stopped => self.ping(stop).await,
                _ = report.tick() => observer.publish(self.phase, &self.counters),
            }
        }
        observer.publish(self.phase, &self.counters);
        Ok(self.end(stopped))
    }

    async fn on_signal(&mut self, flow: FlowId, signal: Signal) -> Result<(), Error> {
        match signal {
            Signal::Cut if self.cut.reach(flow) => {
                info!("every flow has shown the end of its snapshot; asking for the journal");
                match self.ask_stable().await {
                    Err(error) if error.is_passing() => self.lose(error.to_string()),
                    other => other?,
                }
            }
            Signal::Cut => {}
            Signal::Stable => {
                self.stable += 1;
                if self.stable == usize::from(self.session.flows) {
                    self.enter_stable();
                    info!("following the journal");
                }
            }
            Signal::AtFlush(flush, next) => {
                if let Some(executor) = self.flush.arrive(flow, flush, next)? {
                    let (source_id, flows) = (self.source_id(), self.flush.positions());
                    let order =
                        Order::Execute(Checkpoint { source_id, flows }, Box::new(self.lasting.clone()));
                    self.order(executor, order)?;
                }
            }
            Signal::Flushed => {
                for flow in self.flush.release() {
                    self.order(flow, Order::Pass)?;
                }
            }
        }
        Ok(())
    }

    /// Every flow follows the journal: from here on the target's other keys can be looked at.
    fn enter_stable(&mut self) {
        self.phase = Phase::StableSync;
        if self.lasting.sweep {
            let task = ghosts::Task {
                config: Arc::clone(&self.config),
                findings: self.findings.clone(),
                counters: Arc::clone(&self.counters),
            };
            self.sweep = Some(tokio::spawn(task.run()));
        }
    }

    /// A flow that is gone by now ends the session by itself.
    fn order(&self, flow: FlowId, order: Order) -> Result<(), Error> {
        match self.orders.get(&flow).map(|line| line.try_send(order)) {
            Some(Err(TrySendError::Full(order))) => {
                Err(Error::Internal(format!("flow {flow} was given another order before {order:?}")))
            }
            Some(Err(TrySendError::Closed(_))) => {
                debug!(flow = flow.0, "the flow is gone");
                Ok(())
            }
            Some(Ok(())) | None => Ok(()),
        }
    }

    fn on_end(&mut self, flow: FlowId, end: Result<FlowEnd, FlowError>) -> Result<(), Error> {
        match end {
            Ok(FlowEnd::Drained(durable)) => {
                self.ends.insert(flow, durable);
            }
            Ok(FlowEnd::SourceLost(durable, error)) => {
                self.ends.insert(flow, durable);
                self.lose(error.to_string());
            }
            Ok(FlowEnd::TargetLost(error)) => {
                self.target_lost.get_or_insert(error.to_string());
                self.stop_flows.send_replace(true);
            }
            Err(FlowError::FlushedInSync(flush)) => {
                self.flushed = Some(flush);
                self.stop_flows.send_replace(true);
            }
            // Another flow has said why.
            Err(FlowError::Sink(_) | FlowError::DrainTimeout(_) | FlowError::SessionGone)
                if self.target_lost.is_some() => {}
            Err(error) => return Err(Error::Flow { flow, error }),
        }
        Ok(())
    }

    /// The session is over; the flows end what they have.
    fn lose(&mut self, cause: String) {
        self.lost.get_or_insert(cause);
        self.stop_flows.send_replace(true);
    }

    /// A source that does not answer is as good as gone (P27). When the run is told to stop meanwhile, nothing more is asked
    /// on the control connection: the next answer on it would be this one.
    async fn ping(&mut self, stop: &mut watch::Receiver<Stop>) {
        let request = vec![b"PING".to_vec()];
        let answer = tokio::select! {
            answer = self.control.ask(&request) => answer,
            () = told(stop) => {
                self.start_stable = None;
                return;
            }
        };
        if let Err(error) = answer {
            self.lose(error.to_string());
        }
    }

    fn end(mut self, stopped: bool) -> SessionEnd {
        if let Some(sweep) = self.sweep.take() {
            sweep.abort();
        }
        if let Some(scan) = self.scan.take() {
            scan.abort();
        }
        match (self.flushed, self.target_lost, self.lost) {
            (Some(flush), _, _) => SessionEnd::Flushed(flush),
            (None, Some(cause), _) if !stopped => SessionEnd::TargetLost(cause),
            (None, _, Some(cause)) if !stopped => {
                // A flow has a position only behind its snapshot, which is durable then.
                let flows = usize::from(self.session.flows);
                let stable = self.ends.len() == flows && self.ends.values().all(Option::is_some);
                SessionEnd::SourceLost(stable, cause)
            }
            _ => SessionEnd::Stopped,
        }
    }

    /// The look at the target's other keys has ended.
    fn on_sweep(&mut self, ended: Result<Result<(), Error>, tokio::task::JoinError>) {
        self.sweep = None;
        match ended {
            Ok(Ok(())) => {
                self.lasting.sweep = false;
                self.counters.set_sweeping(false);
            }
            Ok(Err(error)) => {
                warn!(%error, "keys that the source does not have are not all removed; the next run goes on with it");
            }
            Err(error) => warn!(%error, "looking for keys that the source does not have was broken off"),
        }
    }
}

async fn swept(
    task: &mut Option<tokio::task::JoinHandle<Result<(), Error>>>,
) -> Result<Result<(), Error>, tokio::task::JoinError> {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

fn ticks(every: std::time::Duration) -> tokio::time::Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
