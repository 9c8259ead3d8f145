//! Clients that write to a live source, at a rate or as fast as it answers, for a bounded time.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use dfly_testkit::RedisClient;

/// Commands that a client sends at a time.
const PIPELINED: u32 = 50;

/// The most keys of all clients, which write to theirs in turn.
const KEYS: usize = 200_000;

/// The most bytes of values of all clients. A source whose memory grows is busy with clearing it, and with little else.
const VALUES: usize = 100_000_000;

/// What is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub source: SocketAddr,
    /// Clients that write at the same time.
    pub clients: u32,
    /// Bytes of a value.
    pub value: usize,
    /// SETs in a second, over all clients; `None`: as many as the source takes.
    pub rate: Option<f64>,
    pub time: Duration,
}

impl Load {
    /// Writes, and gives how many SETs the source took in a second.
    pub(crate) fn run(self) -> Result<f64> {
        let began = Instant::now();
        let written: u64 = thread::scope(|scope| {
            let clients = (0..self.clients).map(|nth| scope.spawn(move || self.client(nth)));
            let clients: Vec<_> = clients.collect();
            clients
                .into_iter()
                .map(|client| client.join().map_err(|_panic| anyhow!("a client has panicked"))?)
                .sum::<Result<u64>>()
        })?;
        Ok(written as f64 / (Instant::now() - began).as_secs_f64())
    }

    /// How many keys are written with values of so many bytes.
    pub(crate) fn keys(value: usize) -> usize {
        (VALUES / value.max(1)).clamp(1, KEYS)
    }

    fn client(self, nth: u32) -> Result<u64> {
        let mut client = RedisClient::connect(self.source)?;
        let value = "v".repeat(self.value);
        let keys = (Self::keys(self.value) as u64 / u64::from(self.clients)).max(1);
        let began = Instant::now();
        let mut written = 0;
        while (Instant::now() - began) < self.time {
            let serials = written..written + u64::from(PIPELINED);
            let words = serials
                .map(|serial| vec!["SET".to_owned(), format!("key:{nth}:{}", serial % keys), value.clone()]);
            let replies = client.pipeline(&words.collect::<Vec<_>>())?;
            ensure!(replies.iter().all(|reply| reply.error().is_none()), "the source refuses a SET");
            written += u64::from(PIPELINED);
            if let Some(rate) = self.rate {
                let due = Duration::from_secs_f64(written as f64 * f64::from(self.clients) / rate);
                thread::sleep(due.saturating_sub(Instant::now() - began));
            }
        }
        Ok(written)
    }
}

/// How long a write takes from the source's answer until it is seen on `replica`, `count` times, one after the other.
pub(crate) fn lags(source: SocketAddr, replica: SocketAddr, count: u32) -> Result<Vec<Duration>> {
    let (mut source, mut replica) = (RedisClient::connect(source)?, RedisClient::connect(replica)?);
    let limit = Duration::from_secs(10);
    (0..count)
        .map(|serial| {
            let serial = serial.to_string();
            source.expect(&[b"SET", b"probe", serial.as_bytes()])?;
            let acknowledged = Instant::now();
            loop {
                let seen = replica.expect(&[b"GET", b"probe"])?.text();
                let lag = Instant::now() - acknowledged;
                if seen.as_deref() == Some(&serial) {
                    thread::sleep(Duration::from_millis(5));
                    return Ok(lag);
                }
                ensure!(lag < limit, "a write is not seen within {limit:?}");
            }
        })
        .collect()
}
