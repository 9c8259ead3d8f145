//! Reads of every key, and nothing else.

use std::net::SocketAddr;
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use dfly_testkit::RedisClient;

use crate::data::Data;

/// Connections to each side.
const CLIENTS: u32 = 2;

/// Reads that are sent at a time.
const PIPELINED: usize = 512;

/// The order in which keys are read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    /// As they were written: neighbours lie beside each other in the server's memory.
    Written,
    /// As clients read, and as SCAN gives them: anywhere.
    Scattered,
}

impl Order {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Written => "as written",
            Self::Scattered => "scattered",
        }
    }

    fn places(self, keys: u32) -> impl Iterator<Item = u32> {
        // A prime, which divides no number of keys here.
        let step = if let Self::Written = self { 1 } else { 611_953 };
        (0..u64::from(keys)).map(move |nth| u32::try_from(nth * step % u64::from(keys)).unwrap_or(0))
    }
}

/// Reads of every key of both sides, at the same time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reads {
    pub sides: [SocketAddr; 2],
    pub data: Data,
    pub order: Order,
}

impl Reads {
    /// Reads, and gives how many seconds that took.
    pub(crate) fn run(self) -> Result<f64> {
        let began = Instant::now();
        thread::scope(|scope| {
            let clients = self.sides.into_iter().flat_map(|side| (0..CLIENTS).map(move |nth| (side, nth)));
            let clients = clients.map(|(side, nth)| scope.spawn(move || self.read(side, nth)));
            let clients: Vec<_> = clients.collect();
            clients
                .into_iter()
                .try_for_each(|client| client.join().map_err(|_panic| anyhow!("a client has panicked"))?)
        })?;
        Ok((Instant::now() - began).as_secs_f64())
    }

    /// The reads of one client.
    fn read(self, side: SocketAddr, nth: u32) -> Result<()> {
        let mut client = RedisClient::connect(side)?;
        let places: Vec<u32> =
            self.order.places(self.data.keys()).filter(|place| place % CLIENTS == nth).collect();
        for places in places.chunks(PIPELINED) {
            let read = |place: &u32| vec![self.data.read().to_owned(), self.data.key(*place)];
            let replies = client.pipeline(&places.iter().map(read).collect::<Vec<_>>())?;
            ensure!(replies.iter().all(|reply| reply.bytes().is_some()), "{side} lacks a key");
        }
        Ok(())
    }
}
