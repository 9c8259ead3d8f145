//! How far along is it? What is done, what goes on, and what is to come.

use dfly_cutover::Stage as Cut;
use dfly_replica::Phase;

use super::headline::share_of_snapshot;
use crate::seen::Seen;
use crate::text::{Figure, Phrase, Texts, say};

/// A part of the way.
#[derive(Debug)]
pub(crate) struct Stage {
    pub name: fn(&Texts) -> &'static str,
    pub state: State,
    /// A time, or how far it is.
    pub note: Option<Phrase>,
    /// Between 0 and 1.
    pub share: Option<f64>,
}

/// How far a part of the way is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Done,
    Now,
    ToCome,
    /// It was not needed.
    Skipped,
    /// It was tried, and something was found.
    Failed,
}

impl State {
    /// Its name in the style sheet.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Now => "now",
            Self::ToCome => "to-come",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }

    /// For those who do not see it.
    pub(crate) fn word(self, texts: &Texts) -> &'static str {
        match self {
            Self::Done => texts.state_done,
            Self::Now => texts.state_now,
            Self::ToCome => texts.state_to_come,
            Self::Skipped => texts.state_skipped,
            Self::Failed => texts.state_failed,
        }
    }
}

/// How far the run has come along the first four parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    Preparing,
    Snapshot,
    CatchingUp,
    InSync,
}

fn reached(seen: &Seen) -> Reached {
    let at = &seen.status.milestones;
    match seen.status.phase {
        Phase::FullSync => Reached::Snapshot,
        _ if at.in_sync.is_some() => Reached::InSync,
        _ if at.journal.is_some() => Reached::CatchingUp,
        _ if at.snapshot.is_some() => Reached::Snapshot,
        _ => Reached::Preparing,
    }
}

fn moment(at: Option<i64>) -> Option<Phrase> {
    at.map(|at| say(|t| t.one_figure, [Figure::Moment(at)]))
}

fn stage(name: fn(&Texts) -> &'static str, state: State, note: Option<Phrase>) -> Stage {
    Stage { name, state, note, share: None }
}

/// The way of a run.
pub(crate) fn stages(seen: &Seen) -> [Stage; 6] {
    let (reached, at) = (reached(seen), &seen.status.milestones);
    let state = |part: Reached| match reached.cmp(&part) {
        std::cmp::Ordering::Greater => State::Done,
        std::cmp::Ordering::Equal => State::Now,
        std::cmp::Ordering::Less => State::ToCome,
    };
    let prepared = if reached == Reached::Preparing { None } else { moment(at.snapshot.or(at.journal)) };
    let began = Some(seen.status.started_at).filter(|at| *at > 0);
    [
        stage(|t| t.stage_prepare, state(Reached::Preparing), prepared.or(moment(began))),
        snapshot(seen, state(Reached::Snapshot)),
        stage(|t| t.stage_catch_up, state(Reached::CatchingUp), moment(at.in_sync.or(at.journal))),
        stage(|t| t.stage_in_sync, state(Reached::InSync), moment(at.in_sync)),
        checked(seen),
        cut_over(seen),
    ]
}

fn snapshot(seen: &Seen, state: State) -> Stage {
    let at = &seen.status.milestones;
    let was_resumed = at.snapshot.is_none() && state == State::Done;
    match state {
        State::Now => {
            let share = share_of_snapshot(seen);
            let note = share.map(|share| say(|t| t.one_figure, [Figure::Share(share)]));
            Stage { share, ..stage(|t| t.stage_snapshot, state, note.or(moment(at.snapshot))) }
        }
        _ if was_resumed => stage(|t| t.stage_snapshot, State::Skipped, Some(say(|t| t.resumed, []))),
        _ => stage(|t| t.stage_snapshot, state, moment(at.journal)),
    }
}

fn checked(seen: &Seen) -> Stage {
    let name: fn(&Texts) -> &'static str = |t| t.stage_checked;
    if let Some(running) = &seen.checks.running {
        return stage(name, State::Now, Some(say(|t| t.keys_compared, [Figure::Count(running.keys)])));
    }
    if let Some(last) = &seen.checks.last {
        return match last.outcome.as_str() {
            "equal" => stage(name, State::Done, moment(Some(last.ended_at))),
            "different" => {
                stage(name, State::Failed, Some(say(|t| t.keys_differ, [Figure::Count(last.different)])))
            }
            _ => stage(name, State::Failed, moment(Some(last.ended_at))),
        };
    }
    let Some(verified) = &seen.status.verified else { return stage(name, State::ToCome, None) };
    let differs: u64 = verified.different.values().sum();
    match (differs, verified.passes) {
        (1.., _) => stage(name, State::Failed, Some(say(|t| t.keys_differ, [Figure::Count(differs)]))),
        (0, 0) => stage(name, State::Now, Some(say(|t| t.keys_compared, [Figure::Count(verified.compared)]))),
        (0, passes) => stage(name, State::Done, Some(say(|t| t.times_compared, [Figure::Count(passes)]))),
    }
}

fn cut_over(seen: &Seen) -> Stage {
    let name: fn(&Texts) -> &'static str = |t| t.stage_cut_over;
    match seen.cutover.as_ref().map(|cutover| &cutover.stage) {
        None | Some(Cut::DryRun { .. } | Cut::Released { evidence: None, .. }) => {
            stage(name, State::ToCome, None)
        }
        Some(Cut::Safe { .. } | Cut::TakenOver { .. }) => {
            stage(name, State::Done, Some(say(|t| t.safe_to_switch, [])))
        }
        Some(Cut::Released { .. }) => stage(name, State::Done, Some(say(|t| t.released, []))),
        Some(Cut::Withdrawn { .. }) => stage(name, State::Failed, Some(say(|t| t.withdrawn, []))),
        Some(Cut::Undone { .. }) => stage(name, State::Failed, Some(say(|t| t.undone, []))),
        Some(_) => stage(name, State::Now, None),
    }
}

#[cfg(test)]
mod tests {
    use dfly_cutover::{Doubt, Evidence};
    use replica_api::wire::{Milestones, Verified};

    use super::*;
    use crate::view::examples::{copying, followed, with};

    fn states(seen: &Seen) -> Vec<&'static str> {
        stages(seen).iter().map(|stage| stage.state.class()).collect()
    }

    #[test]
    fn along_the_way() {
        let new = with(followed(0), |seen| seen.status.phase = Phase::Connecting);
        assert_eq!(states(&new), ["now", "to-come", "to-come", "to-come", "to-come", "to-come"]);
        let copying = copying(1, 4, 1);
        assert_eq!(states(&copying)[..3], ["done", "now", "to-come"]);
        assert_eq!(stages(&copying)[1].share, Some(0.25));
        let mut seen = followed(0);
        seen.status.milestones = Milestones { snapshot: Some(1), journal: Some(2), in_sync: None };
        assert_eq!(states(&seen)[..4], ["done", "done", "now", "to-come"]);
        seen.status.milestones.in_sync = Some(3);
        assert_eq!(states(&seen)[..4], ["done", "done", "done", "now"]);
        seen.status.milestones.snapshot = None;
        assert_eq!(states(&seen)[1], "skipped", "it resumed");
        seen.status.phase = Phase::Reconnecting;
        assert_eq!(states(&seen)[3], "now", "what was reached stays reached");
    }

    #[test]
    fn checked_and_cut_over() {
        let verified = |passes, different| {
            let different = std::collections::BTreeMap::from([("value".to_owned(), different)]);
            with(followed(0), |seen| {
                seen.status.verified =
                    Some(Verified { passes, different: different.clone(), ..Verified::default() });
            })
        };
        assert_eq!(states(&verified(0, 0))[4], "now");
        assert_eq!(states(&verified(2, 0))[4], "done");
        assert_eq!(states(&verified(2, 1))[4], "failed");
        let cut =
            |stage: &Cut| states(&with(followed(0), |seen| seen.cutover = Some(stage.clone().into())))[5];
        assert_eq!(cut(&Cut::Draining), "now");
        assert_eq!(cut(&Cut::Safe { evidence: Evidence::default() }), "done");
        assert_eq!(cut(&Cut::Undone { doubt: Doubt::Unequal(1) }), "failed");
        assert_eq!(cut(&Cut::DryRun { lag: 0, records: 0 }), "to-come");
    }
}
