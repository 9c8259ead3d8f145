//! When a side that does not answer is told of: once as it begins, once as it is over. Pure: states and times in, what is to be
//! told out.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dfly_client::FlowId;

/// How long a side may leave a question unanswered before it is told of. It counts as lost much later.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is known of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Nothing is waited for.
    Answers,
    /// It was asked something, and has not answered anything since.
    WaitedFor(Instant),
    /// The connection is gone, and others tell of that.
    Lost,
}

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It has been silent for so long.
    Silent(Duration),
    /// It answers, and had been silent for so long.
    Answers(Duration),
}

/// The silence of one side.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    /// Since when the silence lasts that was told of.
    told: Option<Instant>,
}

impl Silence {
    /// Looks at the side.
    pub(crate) fn see(&mut self, side: Side, now: Instant) -> Option<Change> {
        match (side, self.told) {
            (Side::WaitedFor(since), None) => {
                let silent = now.saturating_duration_since(since);
                (silent >= PATIENCE).then(|| {
                    self.told = Some(since);
                    Change::Silent(silent)
                })
            }
            (Side::WaitedFor(since), Some(told)) if since <= told => None,
            (Side::Answers | Side::WaitedFor(_), Some(told)) => {
                self.told = None;
                Some(Change::Answers(now.saturating_duration_since(told)))
            }
            (Side::Answers, None) | (Side::Lost, _) => None,
        }
    }
}

/// What a flow shows of its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlowTarget {
    /// Batches that the target has carried out.
    pub carried: u64,
    /// Something was sent and not answered.
    pub is_waited_for: bool,
    /// The flow has no connection.
    pub is_lost: bool,
}

/// The silence of a target, which answers each flow.
#[derive(Debug, Default)]
pub(crate) struct TargetSilence {
    flows: BTreeMap<FlowId, Heard>,
    silence: Silence,
}

/// When the target has answered a flow last, or nothing was waited for.
#[derive(Debug, Clone, Copy)]
struct Heard {
    carried: u64,
    at: Instant,
}

impl TargetSilence {
    /// Looks at all flows. The one that has waited longest counts.
    pub(crate) fn see(
        &mut self,
        flows: impl Iterator<Item = (FlowId, FlowTarget)>,
        now: Instant,
    ) -> Option<Change> {
        let side = flows.map(|(flow, target)| self.side(flow, target, now)).reduce(worse);
        self.silence.see(side.unwrap_or(Side::Answers), now)
    }

    fn side(&mut self, flow: FlowId, target: FlowTarget, now: Instant) -> Side {
        let FlowTarget { carried, is_waited_for, is_lost } = target;
        let heard = self.flows.entry(flow).or_insert(Heard { carried, at: now });
        if heard.carried != carried || !is_waited_for {
            *heard = Heard { carried, at: now };
        }
        match (is_lost, is_waited_for) {
            (true, _) => Side::Lost,
            (false, true) => Side::WaitedFor(heard.at),
            (false, false) => Side::Answers,
        }
    }
}

fn worse(one: Side, other: Side) -> Side {
    match (one, other) {
        (Side::Lost, _) | (_, Side::Lost) => Side::Lost,
        (Side::WaitedFor(one), Side::WaitedFor(other)) => Side::WaitedFor(one.min(other)),
        (Side::Answers, side) | (side, Side::Answers) => side,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_silence_is_told_once_and_so_is_its_end() {
        let (mut silence, start) = (Silence::default(), Instant::now());
        let told: Vec<_> = (0..=20)
            .map(|s| (s, start + seconds(s)))
            .filter_map(|(s, now)| {
                Some((s, silence.see(if s < 18 { Side::WaitedFor(start) } else { Side::Answers }, now)?))
            })
            .collect();
        assert_eq!(told, [(5, Change::Silent(seconds(5))), (18, Change::Answers(seconds(18)))]);
    }

    /// Who loses the connection tells of it, and it is silent until it answers.
    #[test]
    fn a_loss_is_no_end_of_a_silence() {
        let (mut silence, start) = (Silence::default(), Instant::now());
        assert_eq!(silence.see(Side::Lost, start + seconds(9)), None);
        assert!(silence.see(Side::WaitedFor(start), start + seconds(9)).is_some());
        assert_eq!(silence.see(Side::Lost, start + seconds(30)), None);
        let again = Side::WaitedFor(start + seconds(40));
        assert_eq!(silence.see(again, start + seconds(41)), Some(Change::Answers(seconds(41))));
    }

    #[test]
    fn a_slow_target_is_not_a_silent_one() {
        let (mut target, start) = (TargetSilence::default(), Instant::now());
        let mut see = |second: u64, carried: [u64; 2], is_waited_for: bool| {
            let flows = carried.map(|carried| FlowTarget { carried, is_waited_for, is_lost: false });
            let flows = flows.into_iter().zip(0..).map(|(state, nth)| (FlowId(nth), state));
            target.see(flows, start + seconds(second))
        };
        for second in 0..30 {
            assert_eq!(see(second, [second / 4, second], true), None, "it answers every four seconds");
        }
        for second in 30..33 {
            assert_eq!(see(second, [7, second], true), None);
        }
        assert_eq!(see(33, [7, 33], true), Some(Change::Silent(seconds(5))), "flow 0 waits since 28");
        assert_eq!(see(34, [7, 34], true), None, "once");
        assert_eq!(see(35, [8, 35], true), Some(Change::Answers(seconds(7))));
        assert_eq!(see(60, [8, 35], false), None, "nothing is waited for");
        assert_eq!(see(64, [8, 35], true), None);
    }
}
