//! Switching from the source to the target, step by step.

use dfly_cutover::{Evidence, Stage, Withdrawal};
use dfly_replica::Phase;

use super::headline::{differences, withdrawn};
use super::tone::Tone;
use crate::seen::{Answer, Seen};
use crate::text::{Figure, Phrase, Text, say};

/// The steps, in their order.
pub(crate) const STEPS: [Text; 5] =
    [|t| t.step_approach, |t| t.step_stop, |t| t.step_drain, |t| t.step_verify, |t| t.step_safe];

/// How far a cutover is.
#[derive(Debug)]
pub(crate) struct CutoverView {
    /// Whether one may be begun now.
    pub may_begin: bool,
    /// Why one should not be begun yet.
    pub doubt: Option<Phrase>,
    /// Whether one goes on, so that it can be ended.
    pub is_running: bool,
    /// What became of the last one.
    pub outcome: Option<Outcome>,
    /// Each step with how far it is; empty if there is none to show.
    pub steps: Vec<(Text, Step)>,
    /// Figures of a dry run.
    pub dry_run: Option<Phrase>,
}

/// What became of a cutover.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub tone: Tone,
    pub sentence: Phrase,
    /// Why, or what it stands on.
    pub lines: Vec<Phrase>,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Done,
    Now,
    ToCome,
}

impl CutoverView {
    /// Of a run.
    pub(crate) fn of(seen: &Seen) -> Self {
        let stage = seen.cutover.as_ref().map(|cutover| &cutover.stage);
        let is_running = stage.is_some_and(Stage::is_running);
        let is_followed = seen.status.phase == Phase::StableSync && seen.answer == Answer::Live;
        Self {
            may_begin: is_followed && !is_running,
            doubt: doubt(seen),
            is_running,
            outcome: stage.and_then(|stage| outcome(stage, differences(seen))),
            steps: stage.and_then(at).map(steps).unwrap_or_default(),
            dry_run: stage.and_then(dry_run),
        }
    }
}

fn doubt(seen: &Seen) -> Option<Phrase> {
    let keys = differences(seen);
    (keys > 0).then(|| say(|t| t.cut_doubtful, [Figure::Count(keys)]))
}

/// Which step goes on; the number of steps if all are done.
fn at(stage: &Stage) -> Option<usize> {
    match stage {
        Stage::Approaching | Stage::Comparing => Some(0),
        Stage::Stopping => Some(1),
        Stage::Draining => Some(2),
        Stage::Verifying => Some(3),
        Stage::Safe { .. } | Stage::TakenOver { .. } | Stage::Withdrawn { .. } => Some(STEPS.len()),
        Stage::DryRun { .. } | Stage::Undone { .. } | Stage::Released { .. } => None,
    }
}

fn steps(at: usize) -> Vec<(Text, Step)> {
    let step = |nth: usize| match nth.cmp(&at) {
        std::cmp::Ordering::Less => Step::Done,
        std::cmp::Ordering::Equal => Step::Now,
        std::cmp::Ordering::Greater => Step::ToCome,
    };
    STEPS.into_iter().enumerate().map(|(nth, name)| (name, step(nth))).collect()
}

fn dry_run(stage: &Stage) -> Option<Phrase> {
    match stage {
        Stage::DryRun { lag, records } => {
            Some(say(|t| t.dry_run_found, [Figure::Count(*records), Figure::Time(*lag)]))
        }
        _ => None,
    }
}

fn proof(evidence: &Evidence) -> Vec<Phrase> {
    let compared = match evidence.verified {
        Some(verified) if verified.repaired == 0 => say(|t| t.proof_equal, [Figure::Count(verified.equal)]),
        Some(verified) => {
            say(|t| t.proof_compared, [Figure::Count(verified.equal), Figure::Count(verified.repaired)])
        }
        None => say(|t| t.proof_not_compared, []),
    };
    let stopped = evidence.stopped_for.map(|millis| say(|t| t.proof_stopped, [Figure::Time(millis)]));
    [say(|t| t.proof_positions, []), compared].into_iter().chain(stopped).collect()
}

/// `different` keys were found when they were compared last.
fn outcome(stage: &Stage, different: u64) -> Option<Outcome> {
    let outcome = |tone, sentence, lines| Some(Outcome { tone, sentence, lines });
    match stage {
        Stage::Safe { evidence } | Stage::TakenOver { evidence } if different > 0 => {
            outcome(Tone::Warn, say(|t| t.cut_repair, []), proof(evidence))
        }
        Stage::Safe { evidence } => outcome(Tone::Good, say(|t| t.cut_safe_now, []), proof(evidence)),
        Stage::TakenOver { evidence } => outcome(Tone::Good, say(|t| t.cut_taken_over, []), proof(evidence)),
        Stage::Withdrawn { because, .. } => outcome(Tone::Bad, withdrawn(because), Vec::new()),
        Stage::Undone { doubt } => {
            let why = say(|t| t.words, [Figure::Words(doubt.to_string())]);
            outcome(Tone::Warn, say(|t| t.cut_undone, []), vec![why])
        }
        Stage::Released { withdrawn: None, evidence: Some(_) } => {
            outcome(Tone::Good, say(|t| t.cut_released_clean, []), Vec::new())
        }
        Stage::Released { withdrawn: Some(Withdrawal::Written { records }), evidence: Some(_) } => {
            outcome(Tone::Warn, say(|t| t.cut_released, [Figure::Count(*records)]), Vec::new())
        }
        Stage::Released { withdrawn: Some(Withdrawal::CopiedAgain), evidence: Some(_) } => {
            outcome(Tone::Bad, say(|t| t.cut_released_copied, []), Vec::new())
        }
        Stage::Released { evidence: None, .. } => {
            outcome(Tone::Off, say(|t| t.cut_released_early, []), Vec::new())
        }
        Stage::Approaching
        | Stage::Comparing
        | Stage::Stopping
        | Stage::Draining
        | Stage::Verifying
        | Stage::DryRun { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::examples::{copying, followed, with};

    #[test]
    fn steps_and_what_can_be_done() {
        let of = |stage: &Stage| {
            CutoverView::of(&with(followed(0), |seen| seen.cutover = Some(stage.clone().into())))
        };
        let draining = of(&Stage::Draining);
        let steps: Vec<Step> = draining.steps.iter().map(|(_, step)| *step).collect();
        assert_eq!(steps, [Step::Done, Step::Done, Step::Now, Step::ToCome, Step::ToCome]);
        assert!(draining.is_running && !draining.may_begin && draining.outcome.is_none());
        let safe = of(&Stage::Safe { evidence: Evidence::default() });
        assert!(safe.is_running && safe.steps.iter().all(|(_, step)| *step == Step::Done));
        assert!(of(&Stage::DryRun { lag: 1, records: 2 }).may_begin);
        assert!(CutoverView::of(&followed(0)).may_begin && !CutoverView::of(&copying(1, 2, 3)).may_begin);
    }
}
