//! The journal as a second replica of the master reads it.

use std::time::Duration;

use dfly_client::driver::{ControlConn, FlowConn};
use dfly_client::{FlowId, FlowRequest, Plan, Resume};
use dfly_journal::{Decoder, Lsn, Record};
use dfly_wire::Step;
use redis_resp::connection::Endpoint;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::timeout;

/// One record, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub db: u32,
    pub text: String,
}

/// What has been read.
#[derive(Debug, Default)]
struct Read {
    /// The position of each flow.
    positions: Vec<u64>,
    /// Records that nobody has taken yet, in order of arrival.
    records: Vec<Recorded>,
}

/// The connections stay open as long as this does.
#[derive(Debug)]
pub(crate) struct Tape {
    runtime: Runtime,
    read: watch::Sender<Read>,
    _control: ControlConn,
}

impl Tape {
    pub(crate) fn open(endpoint: &Endpoint) -> Self {
        let runtime = Runtime::new().unwrap();
        let (read, _) = watch::channel(Read::default());
        let control = runtime.block_on(follow(endpoint, &read));
        Self { runtime, read, _control: control }
    }

    /// Waits until the flows have reached these positions, and takes what has arrived.
    pub(crate) fn take(&self, positions: &[u64]) -> Vec<Recorded> {
        let mut changes = self.read.subscribe();
        let reached = |read: &Read| read.positions.iter().zip(positions).all(|(have, want)| have >= want);
        self.runtime.block_on(async {
            timeout(Duration::from_secs(10), changes.wait_for(reached)).await.unwrap().unwrap();
        });
        let mut records = Vec::new();
        self.read.send_modify(|read| records = std::mem::take(&mut read.records));
        records
    }
}

async fn follow(endpoint: &Endpoint, read: &watch::Sender<Read>) -> ControlConn {
    let (mut control, session) = ControlConn::open(endpoint, &"e".repeat(40)).await.unwrap();
    read.send_modify(|read| read.positions = vec![0; usize::from(session.flows)]);
    let (mut flows, mut starts) = (Vec::new(), Vec::new());
    for flow in 0..session.flows {
        let request = FlowRequest { session: &session, flow: FlowId(flow), resume: &Resume::Nothing };
        let (conn, start) = FlowConn::open(endpoint, &request).await.unwrap();
        starts.push(start.clone());
        flows.push((usize::from(flow), conn, start.token));
    }
    let Plan::Full(plan) = session.plan(&starts).unwrap() else {
        unreachable!("nothing was asked to be resumed")
    };
    for (flow, conn, token) in flows {
        tokio::spawn(read_flow((flow, conn), token, read.clone()));
    }
    let request = plan.sync_request();
    let stable = plan.on_sync_reply(&control.ask(&request).await.unwrap()).unwrap();
    stable.on_reply(&control.ask(&stable.request()).await.unwrap()).unwrap();
    control
}

/// Skips the snapshot, then decodes; ends with the master.
async fn read_flow((flow, mut conn): (usize, FlowConn), token: [u8; 40], read: watch::Sender<Read>) {
    let at = loop {
        if let Some(at) = conn.buffer.windows(token.len()).position(|window| window == token) {
            break at;
        }
        if conn.fill().await.is_err() {
            return;
        }
    };
    // JOURNAL_OFFSET's number, EOF with its checksum, token (protocol section 2.5).
    let offset = <[u8; 8]>::try_from(&conn.buffer[at - 17..at - 9]).unwrap();
    let mut decoder = Decoder::stream(Lsn(u64::from_le_bytes(offset)));
    drop(conn.buffer.split_to(at + token.len()));
    loop {
        while let Step::Ready(record) = decoder.decode(&mut conn.buffer).unwrap() {
            read.send_modify(|read| read.records.extend(text(record)));
        }
        read.send_modify(|read| read.positions[flow] = decoder.next_lsn().unwrap().0);
        if conn.fill().await.is_err() {
            return;
        }
    }
}

fn text(record: Record) -> Option<Recorded> {
    let Record::Command(command) = record else { return None };
    let words = command.args.iter().map(|arg| match arg {
        [] => "''".to_owned(),
        arg => arg.escape_ascii().to_string(),
    });
    Some(Recorded { db: command.db.0, text: words.collect::<Vec<_>>().join(" ") })
}
