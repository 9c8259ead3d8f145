//! Clients that write until they are told to end, and count what was acknowledged to them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use dfly_testkit::{RedisClient, Reply};

use super::until;

/// Clients that write at the same time.
const WRITERS: usize = 4;

/// Lists of each client: its numbers go to one after the other.
const LISTS: u64 = 64;

/// What a client has done, which others may look at.
#[derive(Debug, Default)]
struct Done {
    acknowledged: AtomicU64,
    /// Microseconds behind `Writers::began`.
    last: AtomicU64,
    ends: AtomicBool,
}

/// Clients that append their numbers to lists of their own.
#[derive(Debug)]
pub(crate) struct Writers {
    began: Instant,
    clients: Vec<(Arc<Done>, JoinHandle<()>)>,
}

impl Writers {
    pub(crate) fn start(source: SocketAddr) -> Self {
        let began = Instant::now();
        let client = |nth| {
            let done = Arc::new(Done::default());
            let writer = Arc::clone(&done);
            (done, spawn(move || write(nth, source, &writer, began)))
        };
        Self { began, clients: (0..WRITERS).map(client).collect() }
    }

    fn acknowledged(&self) -> Vec<u64> {
        self.clients.iter().map(|(done, _)| done.acknowledged.load(SeqCst)).collect()
    }

    /// Writes that were acknowledged, in each second so far.
    pub(crate) fn rate(&self) -> u64 {
        let millis = u64::try_from((Instant::now() - self.began).as_millis()).unwrap().max(1);
        self.acknowledged().iter().sum::<u64>() * 1000 / millis
    }

    /// For how long none of them has been acknowledged anything.
    pub(crate) fn stopped_for(&self) -> Duration {
        let now = Instant::now() - self.began;
        let last = self.clients.iter().map(|(done, _)| done.last.load(SeqCst)).max().unwrap_or(0);
        now.saturating_sub(Duration::from_micros(last))
    }

    pub(crate) fn go_on(&self) {
        let before = self.acknowledged();
        until("written to again", || {
            self.acknowledged().iter().zip(&before).all(|(now, before)| now > before)
        });
    }

    pub(crate) fn have_written(&self, writes: u64) {
        until("written to", || self.acknowledged().iter().sum::<u64>() >= writes);
    }

    /// Waits until each has ended, because its server refuses it or is gone.
    pub(crate) fn all_end(&self) {
        until("silent", || self.clients.iter().all(|(_, thread)| thread.is_finished()));
    }

    pub(crate) fn stop(&self) {
        self.clients.iter().for_each(|(done, _)| done.ends.store(true, SeqCst));
    }

    pub(crate) fn join(self) {
        self.clients.into_iter().for_each(|(_, thread)| thread.join().unwrap());
    }

    /// Each list is what was acknowledged: every number once, in order. Of the writes that a client has in flight, some may have
    /// been carried out before the pause.
    pub(crate) fn nothing_is_lost(&self, lists: &BTreeMap<String, Vec<String>>, when: &str) {
        for (nth, acknowledged) in self.acknowledged().into_iter().enumerate() {
            for list in 0..LISTS.min(acknowledged) {
                let key = format!("writer:{nth}:{list}");
                let step = usize::try_from(LISTS).unwrap();
                let numbers = |end: u64| (list..end).step_by(step).map(|number| number.to_string());
                let held = lists.get(&key).map(Vec::as_slice).unwrap_or_default();
                let is_complete = held.len() >= numbers(acknowledged).count();
                let begun = acknowledged + in_flight() - 1;
                let are_right = held.len() <= numbers(begun).count()
                    && held.iter().cloned().eq(numbers(begun).take(held.len()));
                assert!(is_complete && are_right, "{when}: {key} has other numbers");
            }
        }
    }
}

/// Writes that a client has in flight.
fn in_flight() -> u64 {
    let count = std::env::var_os("IN_FLIGHT").and_then(|count| count.to_str()?.parse().ok());
    count.unwrap_or(1).clamp(1, LISTS)
}

fn write(nth: usize, source: SocketAddr, done: &Done, began: Instant) {
    let Ok(mut client) = RedisClient::connect(source) else { return };
    let count = in_flight();
    while !done.ends.load(SeqCst) {
        let first = done.acknowledged.load(SeqCst);
        let push = |number: u64| {
            vec!["RPUSH".to_owned(), format!("writer:{nth}:{}", number % LISTS), number.to_string()]
        };
        let pushes: Vec<Vec<String>> = (first..first + count).map(push).collect();
        match client.pipeline(&pushes) {
            Ok(replies) if replies.iter().all(|reply| matches!(reply, Reply::Int(_))) => {
                done.acknowledged.fetch_add(count, SeqCst);
                done.last.store(u64::try_from((Instant::now() - began).as_micros()).unwrap(), SeqCst);
            }
            // The source has shut down, or refuses writes.
            _ => return,
        }
    }
}

/// All lists of a server.
pub(crate) fn lists(client: &mut RedisClient) -> BTreeMap<String, Vec<String>> {
    let texts = |reply: Reply| {
        let items = reply.array().unwrap().to_vec();
        items.iter().filter_map(Reply::text).collect::<Vec<_>>()
    };
    let keys = texts(client.expect(&[b"KEYS", b"writer:*"]).unwrap());
    let request = |key: &String| ["LRANGE", key, "0", "-1"].map(str::to_owned).to_vec();
    let values = client.pipeline(&keys.iter().map(request).collect::<Vec<_>>()).unwrap();
    keys.into_iter().zip(values.into_iter().map(texts)).collect()
}
