//! The clock of a target beside the source's, and how far away it is.

use std::time::{Duration, Instant};

use super::questions::TargetConnection;
use super::replies::time_of;
use crate::clock::Clock;
use crate::error::Error;

/// How far the target's clock is ahead of the source's, in milliseconds; 0 if it is behind. In a cluster that of the node that
/// is furthest ahead.
pub(crate) async fn clock_ahead(target: &mut TargetConnection, clock: &Clock) -> Result<i64, Error> {
    let latest = target.ask_all(&["TIME"]).await?.iter().filter_map(time_of).max();
    Ok(latest.map_or(0, |shown| (shown.0 - clock.now().0).max(0)))
}

/// How many round trips are measured.
const ROUND_TRIPS: usize = 3;

/// The shortest time in which the target, and each node of a cluster, answers, in whole milliseconds: one that is nearer is here.
pub(crate) async fn round_trip(target: &mut TargetConnection) -> Result<Duration, Error> {
    let mut shortest = Duration::MAX;
    for _ in 0..ROUND_TRIPS {
        let asked = Instant::now();
        target.ask_all(&["PING"]).await?;
        shortest = shortest.min(Instant::now().duration_since(asked));
    }
    Ok(Duration::from_millis(u64::try_from(shortest.as_millis()).unwrap_or(u64::MAX)))
}
