//! What became of the last comparison?

use replica_api::wire::{CheckProgress, CheckResult, Verified};

use super::tone::Tone;
use crate::seen::{Answer, Seen};
use crate::text::{Figure, Phrase, real, say};

/// The verdict, and what was found.
#[derive(Debug)]
pub(crate) struct Check {
    pub tone: Tone,
    pub verdict: Phrase,
    pub more: Vec<Phrase>,
    /// What differs, with the number of keys.
    pub different: Vec<(String, u64)>,
    /// How far it has come, between 0 and 1, if it runs.
    pub share: Option<f64>,
    /// What can be asked for.
    pub can: Can,
    /// Whether there are names of keys to be shown.
    pub has_keys: bool,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Can {
    Begin,
    Stop,
    Nothing,
}

fn check(tone: Tone, verdict: Phrase) -> Check {
    Check {
        tone,
        verdict,
        more: Vec::new(),
        different: Vec::new(),
        share: None,
        can: Can::Nothing,
        has_keys: false,
    }
}

impl Check {
    /// Of the comparison that runs, of the last one, or else of what is verified beside the run.
    pub(crate) fn of(seen: &Seen) -> Self {
        let is_followed = seen.answer == Answer::Live && seen.status.lag.is_some();
        let can = if is_followed { Can::Begin } else { Can::Nothing };
        let told = match (&seen.checks.running, &seen.checks.last, &seen.status.verified) {
            (Some(running), ..) => return Self { can: Can::Stop, ..of_running(running) },
            (None, Some(last), _) => of_last(last),
            (None, None, Some(verified)) => of_verified(verified),
            (None, None, None) => check(Tone::Off, say(|t| t.check_none, [])),
        };
        Self { can, ..told }
    }
}

fn of_running(running: &CheckProgress) -> Check {
    let (keys, of) = (Figure::Count(running.keys), Figure::Count(running.of));
    let verdict = match running.of {
        0 => say(|t| t.check_begins, []),
        _ => say(|t| t.check_runs, [keys, of]),
    };
    let share = (running.of > 0).then(|| (real(running.keys) / real(running.of)).min(1.0));
    let different =
        (running.different > 0).then(|| say(|t| t.differ_so_far, [Figure::Count(running.different)]));
    Check { share, more: different.into_iter().collect(), ..check(Tone::Busy, verdict) }
}

fn of_last(last: &CheckResult) -> Check {
    let compared = Figure::Count(last.compared);
    let (tone, verdict) = match last.outcome.as_str() {
        "equal" => (Tone::Good, say(|t| t.check_equal, [compared])),
        "different" => (Tone::Bad, differs(last.different, compared)),
        "incomplete" => (
            Tone::Warn,
            say(|t| t.check_incomplete, [Figure::Count(last.equal), Figure::Count(last.not_compared)]),
        ),
        _ => (Tone::Warn, say(|t| t.check_failed, [Figure::Words(last.sentence.clone())])),
    };
    let ended = say(|t| t.check_ended, [Figure::Moment(last.ended_at), Figure::Words(last.mode.clone())]);
    let repaired = (last.repaired > 0).then(|| say(|t| t.were_repaired, [Figure::Count(last.repaired)]));
    let gaps = last.gaps.iter().map(|gap| say(|t| t.words, [Figure::Words(gap.clone())]));
    Check {
        more: std::iter::once(ended).chain(repaired).chain(gaps).collect(),
        different: last.kinds.iter().map(|(what, keys)| (what.clone(), *keys)).collect(),
        has_keys: last.different + last.not_compared > 0,
        ..check(tone, verdict)
    }
}

fn differs(different: u64, compared: Figure) -> Phrase {
    match different {
        1 => say(|t| t.check_differs_one, [compared]),
        _ => say(|t| t.check_differs, [Figure::Count(different), compared]),
    }
}

fn of_verified(verified: &Verified) -> Check {
    let differs: u64 = verified.different.values().sum();
    let compared = Figure::Count(verified.compared);
    let (tone, verdict) = match (differs, verified.passes) {
        (1.., _) => (Tone::Bad, self::differs(differs, compared)),
        (0, 0) => (Tone::Busy, say(|t| t.verified_so_far, [compared])),
        (0, _) => (Tone::Good, say(|t| t.check_equal, [compared])),
    };
    let more = say(|t| t.verified_more, [Figure::Count(verified.passes), Figure::Count(verified.repaired)]);
    let different = verified.different.iter().map(|(what, keys)| (what.clone(), *keys)).collect();
    Check { more: vec![more], different, ..check(tone, verdict) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::examples::{copying, followed, with};

    #[test]
    fn verdicts() {
        let of = |outcome: &str| {
            let last = CheckResult { outcome: outcome.to_owned(), different: 1, ..CheckResult::default() };
            Check::of(&with(followed(0), |seen| seen.checks.last = Some(last.clone())))
        };
        let tones = ["equal", "different", "incomplete", "failed"].map(|outcome| of(outcome).tone);
        assert_eq!(tones, [Tone::Good, Tone::Bad, Tone::Warn, Tone::Warn]);
        let running = with(followed(0), |seen| {
            seen.checks.running = Some(CheckProgress { keys: 1, of: 4, ..CheckProgress::default() });
        });
        let running = Check::of(&running);
        assert_eq!((running.tone, running.can, running.share), (Tone::Busy, Can::Stop, Some(0.25)));
        assert_eq!(Check::of(&followed(0)).can, Can::Begin);
        assert_eq!(Check::of(&copying(1, 2, 3)).can, Can::Nothing);
    }
}
