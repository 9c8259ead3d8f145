//! A replica that throws everything away: how fast the source gives a snapshot at all.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use df2redis_benches::rig::process::cpu_seconds;
use df2redis_benches::rig::run::Sample;
use df2redis_benches::rig::source::Source;
use dfly_client::driver::{ControlConn, FlowConn};
use dfly_client::{FlowId, FlowRequest, Plan, Resume, Session, StartStable};
use redis_resp::connection::{Endpoint, Peer};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A flow that is silent for so long has given its snapshot: nobody writes to the source, and its PINGs are a second apart.
const SILENCE: Duration = Duration::from_millis(400);

/// From the connection until the last byte of the snapshot.
pub(crate) fn snapshot(source: &Source) -> Result<Sample> {
    let source_cpu = || source.pid().map_or(Ok(0.0), cpu_seconds);
    let before = source_cpu()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seconds = runtime.block_on(read(source.address()))?;
    Ok(Sample { seconds, source_cpu: source_cpu()? - before, ..Sample::default() })
}

async fn read(source: SocketAddr) -> Result<f64> {
    let began = Instant::now();
    let received = receive(source, &"f".repeat(40)).await?;
    let end = received.flows.iter().map(|(last, _flow)| *last).max().context("the source has no flows")?;
    Ok((end - began).as_secs_f64())
}

/// A session whose snapshot was received and thrown away.
pub(crate) struct Received {
    pub control: ControlConn,
    /// Asks for the journal.
    pub stable: StartStable,
    /// When the last byte of each came.
    pub flows: Vec<(Instant, FlowConn)>,
}

/// Receives a snapshot as the replica of this name, and throws it away.
pub(crate) async fn receive(source: SocketAddr, replica_id: &str) -> Result<Received> {
    let endpoint = Endpoint::new(Peer::Source, source.ip().to_string(), source.port());
    let (mut control, session) = ControlConn::open(&endpoint, replica_id).await?;
    let (flows, plan) = open(&endpoint, &session).await?;
    let Plan::Full(plan) = plan else { return Err(anyhow!("the source continues instead of beginning")) };
    let mut readers = JoinSet::new();
    for flow in flows {
        readers.spawn(last_byte(flow));
    }
    let synced = control.ask(&plan.sync_request()).await?;
    let stable = plan.on_sync_reply(&synced)?;
    let flows = readers.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    Ok(Received { control, stable, flows })
}

async fn open(endpoint: &Endpoint, session: &Session) -> Result<(Vec<FlowConn>, Plan)> {
    let (mut flows, mut starts) = (Vec::new(), Vec::new());
    for flow in (0..session.flows).map(FlowId) {
        let request = FlowRequest { session, flow, resume: &Resume::Nothing };
        let (conn, start) = FlowConn::open(endpoint, &request).await?;
        flows.push(conn);
        starts.push(start);
    }
    let plan = session.plan(&starts)?;
    Ok((flows, plan))
}

/// When the last byte came before a silence. The flow stays open: a source ends all flows when one is closed.
async fn last_byte(mut flow: FlowConn) -> Result<(Instant, FlowConn)> {
    // The source may think for as long as it likes before the first.
    flow.fill().await?;
    let mut last = Instant::now();
    while let Ok(filled) = timeout(SILENCE, flow.fill()).await {
        filled?;
        flow.buffer.clear();
        last = Instant::now();
    }
    Ok((last, flow))
}
