//! When a flow is acknowledged (protocol section 5.1).

use std::time::{Duration, Instant};

use dfly_journal::Lsn;

use crate::{Request, request};

/// The largest number of records between two ACKs.
const RECORDS: u64 = 1024;

/// `REPLCONF ACK` with the LSN of the next record: all records before it are applied. The master does not reply. Send it
/// only on a flow in stable sync.
pub fn ack_request(applied: Lsn) -> Request {
    request(&["REPLCONF", "ACK", &applied.to_string()])
}

/// Decides when the position of a flow is acknowledged: once per interval, after 1024 records, and when the master asks.
#[derive(Debug, Clone)]
pub struct AckSchedule {
    interval: Duration,
    /// Time and position of the last ACK.
    last: Option<(Instant, Lsn)>,
    /// The position at which a PING of the master is answered.
    asked: Option<Lsn>,
}

impl AckSchedule {
    /// Acknowledges once per `interval`. The native replica uses one second.
    pub fn new(interval: Duration) -> Self {
        Self { interval, last: None, asked: None }
    }

    /// The master sent a PING record, and `after` is the position after it. An ACK is due when the record is applied.
    pub fn on_ping(&mut self, after: Lsn) {
        self.asked = Some(after);
    }

    /// The position to acknowledge now, if an ACK is due. `applied` must be durable on the target.
    pub fn due(&mut self, now: Instant, applied: Lsn) -> Option<Lsn> {
        let due = match self.last {
            None => true,
            Some((at, sent)) => {
                now.saturating_duration_since(at) >= self.interval
                    || applied.0.saturating_sub(sent.0) > RECORDS
                    || self.asked.is_some_and(|asked| applied >= asked)
            }
        };
        due.then(|| {
            self.asked = self.asked.filter(|asked| applied < *asked);
            self.last = Some((now, applied));
            applied
        })
    }

    /// The latest time of the next ACK.
    pub fn deadline(&self, now: Instant) -> Instant {
        self.last.map_or(now, |(at, _)| at + self.interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_time_by_count_and_on_demand() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut acks = AckSchedule::new(Duration::from_secs(1));
        assert_eq!(acks.due(at(0), Lsn(1)), Some(Lsn(1)), "the first goes out at once");
        assert_eq!(acks.due(at(999), Lsn(1025)), None);
        assert_eq!(acks.due(at(999), Lsn(1026)), Some(Lsn(1026)), "more than 1024 records");
        assert_eq!(acks.deadline(at(1000)), at(1999));
        assert_eq!(acks.due(at(1999), Lsn(1026)), Some(Lsn(1026)), "the interval, with nothing new");
        acks.on_ping(Lsn(1030));
        assert_eq!(acks.due(at(2000), Lsn(1029)), None, "what precedes the PING is not applied yet");
        assert_eq!(acks.due(at(2001), Lsn(1030)), Some(Lsn(1030)));
        assert_eq!(acks.due(at(2002), Lsn(1031)), None, "a PING is answered once");
    }
}
