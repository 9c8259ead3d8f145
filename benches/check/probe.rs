//! What a client of the source notices.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use df2redis_benches::rig::percentile;
use dfly_testkit::RedisClient;

use crate::data::Data;

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(1);

/// How long the source is watched without a comparison.
const IDLE: Duration = Duration::from_secs(2);

/// A client that asks for the type of one key after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Probe {
    pub source: SocketAddr,
    pub data: Data,
}

impl Probe {
    /// The 99th percentile of the times until an answer, in milliseconds, with nothing else.
    pub(crate) fn alone(self) -> Result<f64> {
        self.beside(|| {
            thread::sleep(IDLE);
            Ok(())
        })
    }

    /// The same while this is done.
    pub(crate) fn beside(self, work: impl FnOnce() -> Result<()>) -> Result<f64> {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let watching = scope.spawn(|| self.watch(&is_over));
            let done = work();
            is_over.store(true, Ordering::Relaxed);
            let mut times = watching.join().map_err(|_panic| anyhow!("the probe has panicked"))??;
            done?;
            percentile(&mut times, 99)
        })
    }

    fn watch(self, is_over: &AtomicBool) -> Result<Vec<Duration>> {
        let (mut client, mut times) = (RedisClient::connect(self.source)?, Vec::new());
        for nth in (0u32..).take_while(|_| !is_over.load(Ordering::Relaxed)) {
            let key = self.data.key(nth.wrapping_mul(7919) % self.data.keys());
            let asked = Instant::now();
            client.expect(&[b"TYPE", key.as_bytes()])?;
            times.push(Instant::now() - asked);
            thread::sleep(PAUSE);
        }
        Ok(times)
    }
}
