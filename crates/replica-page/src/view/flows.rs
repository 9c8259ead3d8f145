//! The flows, those in trouble first.

use replica_api::wire::{Flow, Status};

use super::rates::in_a_second;
use super::rows::{Row, State, by_trouble};
use super::tone::Tone;
use crate::seen::Seen;

/// From how far behind on a flow is said to be behind, in milliseconds.
const BEHIND: u64 = 2000;

/// From how far behind on it is in trouble, in milliseconds.
const FAR_BEHIND: u64 = 30_000;

/// The rows; the rate is that of records, or of keys while the snapshot is read.
pub(crate) fn rows(seen: &Seen) -> Vec<Row<Flow>> {
    by_trouble(seen.status.flows.iter().map(|flow| Row::new(flow, state(flow), rate(seen, flow))))
}

fn state(flow: &Flow) -> State {
    match flow.lag.map(|lag| lag.millis) {
        _ if flow.stalled.is_some() => (Tone::Bad, |t| t.flow_stalled),
        _ if flow.relay_bytes > 0 => (Tone::Warn, |t| t.flow_on_disk),
        None => (Tone::Busy, |t| t.flow_copies),
        Some(FAR_BEHIND..) => (Tone::Warn, |t| t.flow_behind),
        Some(BEHIND..) => (Tone::Busy, |t| t.flow_catches_up),
        Some(_) if flow.refetching > 0 => (Tone::Busy, |t| t.flow_refetches),
        Some(_) => (Tone::Good, |t| t.flow_follows),
    }
}

/// What was read since a few seconds ago, in a second: records, or keys while the snapshot is read.
fn rate(seen: &Seen, flow: &Flow) -> Option<f64> {
    let before: &Status = seen.before.as_ref()?;
    let was = before.flows.get(usize::from(flow.flow))?;
    let (records, keys) = (flow.records.saturating_sub(was.records), flow.keys.saturating_sub(was.keys));
    let count = if flow.lag.is_some() { records } else { keys };
    in_a_second(count, before.now, seen.status.now)
}

#[cfg(test)]
mod tests {
    use replica_api::wire::Lag;

    use super::*;
    use crate::view::examples::{followed, with};

    #[test]
    fn trouble_comes_first() {
        let seen = with(followed(0), |seen| {
            let flow = |nth, millis| Flow {
                flow: nth,
                lag: Some(Lag { records: 1, millis }),
                records: 500,
                ..Flow::default()
            };
            seen.status.flows = vec![flow(0, 100), flow(1, 5000), flow(2, 90_000), flow(3, 0)];
            seen.status.flows[3].stalled = Some("gone".to_owned());
            let before = Status { now: seen.status.now - 5000, ..seen.status.clone() };
            seen.before = Some(before);
            seen.before.as_mut().unwrap().flows[1].records = 400;
        });
        let rows = rows(&seen);
        let order: Vec<u16> = rows.iter().map(|row| row.of.flow).collect();
        assert_eq!(order, [3, 2, 1, 0]);
        assert_eq!((rows[2].rate, rows[0].tone), (Some(20.0), Tone::Bad));
    }
}
