//! Runs that the tests look at.

use dfly_replica::Phase;
use replica_api::wire::{Flow, Lag, Sample, Side, Status};

use crate::seen::Seen;

/// The same run, with something changed.
pub(crate) fn with(mut seen: Seen, change: impl Fn(&mut Seen)) -> Seen {
    change(&mut seen);
    seen
}

fn side(address: &str, product: &str) -> Side {
    Side { address: address.to_owned(), product: Some(product.to_owned()), ..Side::default() }
}

/// A run that follows the journal, so many milliseconds behind; it reads 1 MiB a second, and may keep 6.4 GiB of each flow.
pub(crate) fn followed(millis: u64) -> Seen {
    let lag = Some(Lag { records: 12, millis });
    let flow = |nth| Flow {
        flow: nth,
        source_lsn: Some(120),
        received_lsn: Some(118),
        durable_lsn: Some(108),
        lag,
        ..Flow::default()
    };
    let sample = Sample { bytes: 1 << 20, journaled: Some(1000), applied: Some(1000), ..Sample::default() };
    let status = Status {
        phase: Phase::StableSync,
        in_sync: true,
        now: 1_796_000_000_000,
        started_at: 1_796_000_000_000 - 7_380_000,
        source: side("db:6379", "Dragonfly v1.40.1"),
        target: side("new:6379", "Redis 7.0"),
        lag,
        relay_limit: Some(6400 << 20),
        flows: vec![flow(0), flow(1)],
        ..Status::default()
    };
    Seen { status, history: vec![sample; 60], ..Seen::default() }
}

/// A run that reads the snapshot.
pub(crate) fn copying(keys: u64, of: u64, rate: u64) -> Seen {
    let sample = Sample { keys: rate, bytes: rate * 100, ..Sample::default() };
    let status = Status {
        phase: Phase::FullSync,
        keys,
        source_keys: Some(of),
        lag: None,
        in_sync: false,
        ..followed(0).status
    };
    Seen { status, history: vec![sample; 60], ..Seen::default() }
}
