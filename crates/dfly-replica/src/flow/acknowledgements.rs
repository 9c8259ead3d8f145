//! When a flow acknowledges, and what it may acknowledge. Pure.

use std::time::{Duration, Instant};

use dfly_client::AckSchedule;
use dfly_journal::Lsn;

/// The acknowledgements of one flow.
///
/// A PING record precedes a hand-over of the source (TAKEOVER, and WAIT since v1.40). A source that hands over shuts down
/// once the acknowledged position has passed it. So from a PING on, nothing is acknowledged while a value is still to be
/// read from the source.
#[derive(Debug)]
pub(crate) struct Acknowledgements {
    schedule: AckSchedule,
    /// The position behind a PING that was not acknowledged.
    asked: Option<Lsn>,
    /// The position behind the last PING.
    last_ping: Option<Lsn>,
}

impl Acknowledgements {
    /// Acknowledges once an `interval` at least.
    pub(crate) fn new(interval: Duration) -> Self {
        Self { schedule: AckSchedule::new(interval), asked: None, last_ping: None }
    }

    /// The source wants to know as soon as everything before `next` is applied.
    pub(crate) fn on_ping(&mut self, next: Lsn) {
        self.schedule.on_ping(next);
        self.asked = Some(next);
        self.last_ping = Some(next);
    }

    /// The position behind the last PING.
    pub(crate) fn last_ping(&self) -> Option<Lsn> {
        self.last_ping
    }

    /// The position to acknowledge now, if one is due. `durable` is what the target holds; `is_reading` says whether values
    /// are still to be read from the source.
    pub(crate) fn due(&mut self, now: Instant, durable: Lsn, is_reading: bool) -> Option<Lsn> {
        if is_reading && self.asked.is_some() {
            return None;
        }
        self.asked = self.asked.filter(|asked| durable < *asked);
        self.schedule.due(now, durable)
    }

    /// When the next one is due at the latest.
    pub(crate) fn deadline(&self, now: Instant) -> Instant {
        self.schedule.deadline(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hand-over waits until the last value was read.
    #[test]
    fn nothing_is_acknowledged_behind_a_ping_while_a_value_is_to_be_read() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut acks = Acknowledgements::new(Duration::from_secs(1));
        assert_eq!(acks.due(at(0), Lsn(5), true), Some(Lsn(5)), "no hand-over is asked for");
        acks.on_ping(Lsn(9));
        assert_eq!(acks.due(at(2), Lsn(8), true), None);
        assert_eq!(acks.due(at(3), Lsn(9), true), None);
        assert_eq!(acks.due(at(4), Lsn(9), false), Some(Lsn(9)));
        assert_eq!(acks.due(at(6), Lsn(12), true), Some(Lsn(12)), "the source went on");
    }
}
