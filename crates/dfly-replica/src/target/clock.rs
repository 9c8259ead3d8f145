//! The clock of a target beside this host's.

use redis_resp::Reply;

use super::questions::TargetConnection;
use crate::clock::Clock;
use crate::error::Error;

/// How far the target's clock is ahead of this host's, in milliseconds; 0 if it is behind. In a cluster that of the node that
/// is furthest ahead.
pub(crate) async fn clock_ahead(target: &mut TargetConnection, clock: &Clock) -> Result<i64, Error> {
    let latest = target.ask_all(&["TIME"]).await?.iter().filter_map(millis).max();
    Ok(latest.map_or(0, |millis| (millis - clock.now().0).max(0)))
}

/// The answer to TIME: seconds and microseconds.
fn millis(reply: &Reply) -> Option<i64> {
    let Reply::Array(parts) = reply else { return None };
    let part = |at: usize| match parts.get(at) {
        Some(Reply::Bulk(digits)) => std::str::from_utf8(digits).ok()?.parse::<i64>().ok(),
        _ => None,
    };
    Some(part(0)?.saturating_mul(1000) + part(1)? / 1000)
}
