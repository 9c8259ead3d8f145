//! A program between source and target that does nothing but move bytes: for every byte of the journal that it receives it sends
//! the target a byte of commands that were prepared before. It shows about how much of its rate a source can keep if the copy
//! is made by a third process on the same processors. It decodes nothing, keeps no positions, and what the target holds is not a copy.

use std::net::SocketAddr;
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use df2redis_benches::rig::process::cpu_seconds;
use dfly_client::driver::FlowConn;
use dfly_testkit::{RedisClient, RedisServer};
use redis_resp::CommandBatch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::discarding::{Received, receive};
use crate::load::Load;

/// Keys that each MSET sets, so that the target works as little as it can.
const TOGETHER: usize = 50;

/// Commands are prepared for so many bytes, at the least.
const PREPARED: usize = 4 << 20;

/// Fewer bytes than this wait for others, as in the tool.
const MANY: usize = 64 << 10;

/// For how long they wait.
const GATHERED: Duration = Duration::from_millis(1);

/// Digits of a key's number.
const DIGITS: usize = 6;

/// The key that is written when a relay follows the journal.
const READY: &str = "ready";

/// What a relay connects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub source: SocketAddr,
    pub target: SocketAddr,
    /// Bytes of a value.
    pub value: usize,
}

/// A relay in a process of its own, which is killed, by its process id, when this is dropped.
#[derive(Debug)]
pub(crate) struct Relay(Child);

impl Relay {
    /// Starts this program once more, as a relay, and waits until it follows the journal.
    pub(crate) fn start(source: SocketAddr, redis: &RedisServer, value: usize) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--relay-from", &source.to_string(), "--relay-to", &redis.address().to_string()]);
        command.args(["--live", &value.to_string()]).stdin(Stdio::null()).stdout(Stdio::null());
        let relay = Self(command.spawn()?);
        let mut client = redis.client()?;
        for _attempt in 0..1_000 {
            if client.expect(&[b"EXISTS", READY.as_bytes()])?.int() == Some(1) {
                return Ok(relay);
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err(anyhow!("the relay does not follow the source"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits until it does nothing any more.
    pub(crate) fn rest(&self) -> Result<()> {
        let mut before = cpu_seconds(self.pid())?;
        for _look in 0..400 {
            thread::sleep(Duration::from_millis(300));
            let now = cpu_seconds(self.pid())?;
            if now - before < 0.02 {
                return Ok(());
            }
            before = now;
        }
        Err(anyhow!("the relay is still busy after two minutes"))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // One that has failed is gone already.
        let _already_gone = self.0.kill().is_err() | self.0.wait().is_err();
    }
}

/// Relays until a connection ends.
pub(crate) fn run(ends: Ends) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(relay(ends))
}

async fn relay(ends: Ends) -> Result<()> {
    let Received { mut control, stable, flows } = receive(ends.source, &"e".repeat(40)).await?;
    stable.on_reply(&control.ask(&stable.request()).await?)?;
    RedisClient::connect(ends.target)?.expect(&[b"SET", READY.as_bytes(), b"1"])?;
    let (count, mut relays) = (flows.len(), JoinSet::new());
    for (nth, (_last, flow)) in flows.into_iter().enumerate() {
        relays.spawn(forward(flow, ends.target, Prepared::new(nth, count, ends.value)));
    }
    relays.join_next().await.context("the source has no flows")??
}

/// MSETs that are sent again and again, each time with the next keys.
struct Prepared {
    wire: Vec<u8>,
    /// Where the number of each key is in it, and its digits.
    numbers: Vec<Range<usize>>,
    next: usize,
    /// How many keys there are.
    keys: usize,
    /// How much of it is sent.
    sent: usize,
}

impl Prepared {
    fn new(flow: usize, flows: usize, value: usize) -> Self {
        let (mut batch, mut numbers, contents) = (CommandBatch::default(), Vec::new(), "v".repeat(value));
        let keys = Load::keys(value) / flows;
        let key = format!("key:{flow}:{}", "0".repeat(DIGITS));
        while batch.byte_len() < PREPARED {
            let pairs = std::iter::repeat_n([key.as_bytes(), contents.as_bytes()], TOGETHER);
            batch.push(&[b"MSET".as_slice()].into_iter().chain(pairs.flatten()).collect::<Vec<_>>());
        }
        let wire = batch.take().wire().to_vec();
        let mut from = 0;
        while let Some(at) = wire
            .get(from..)
            .and_then(|rest| rest.windows(key.len()).position(|window| window == key.as_bytes()))
        {
            from += at + key.len();
            numbers.push(from - DIGITS..from);
        }
        Self { wire, numbers, next: 0, keys, sent: 0 }
    }

    /// The next bytes, `most` at the most.
    fn part(&mut self, most: usize) -> &[u8] {
        if self.sent == self.wire.len() {
            self.sent = 0;
        }
        if self.sent == 0 {
            self.renumber();
        }
        let from = self.sent;
        self.sent = self.wire.len().min(from + most);
        self.wire.get(from..self.sent).unwrap_or_default()
    }

    fn renumber(&mut self) {
        for digits in &self.numbers {
            if let Some(place) = self.wire.get_mut(digits.clone()) {
                place.copy_from_slice(format!("{:0DIGITS$}", self.next % self.keys).as_bytes());
            }
            self.next += 1;
        }
    }
}

async fn forward(mut flow: FlowConn, target: SocketAddr, mut prepared: Prepared) -> Result<()> {
    let target = TcpStream::connect(target).await?;
    target.set_nodelay(true)?;
    let (replies, mut commands) = target.into_split();
    let discarding = tokio::spawn(discard(replies));
    loop {
        flow.buffer.clear();
        let received = flow.fill().await?;
        let mut due = received;
        while due > 0 {
            let part = prepared.part(due);
            commands.write_all(part).await?;
            due -= part.len();
        }
        ensure!(!discarding.is_finished(), "the target has closed the connection");
        if received < MANY {
            flow.unwatch();
            sleep(GATHERED).await;
        }
    }
}

async fn discard(mut replies: OwnedReadHalf) {
    let mut buffer = vec![0; 16 << 10];
    while replies.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}
