//! What became of the last comparison?

use super::tone::Tone;
use crate::seen::Seen;
use crate::text::{Figure, Phrase, say};

/// The verdict, and what was found.
#[derive(Debug)]
pub(crate) struct Check {
    pub tone: Tone,
    pub verdict: Phrase,
    pub more: Option<Phrase>,
    /// What differs, with the number of keys.
    pub different: Vec<(String, u64)>,
    pub is_running: bool,
}

impl Check {
    /// Of the last comparison, or of what is verified beside the run.
    pub(crate) fn of(seen: &Seen) -> Self {
        let check =
            |tone, verdict| Self { tone, verdict, more: None, different: Vec::new(), is_running: false };
        if let Some(last) = &seen.check {
            let differs: u64 = last.different.iter().map(|(_, keys)| keys).sum();
            let compared = Figure::Count(last.compared);
            let (tone, verdict) = match (last.is_running, &last.failure) {
                (true, _) => (Tone::Busy, say(|t| t.check_runs, [compared])),
                (false, Some(why)) => (Tone::Warn, say(|t| t.check_failed, [Figure::Words(why.clone())])),
                (false, None) if differs > 0 => {
                    (Tone::Bad, say(|t| t.check_differs, [Figure::Count(differs), compared]))
                }
                (false, None) if last.not_compared > 0 => {
                    (Tone::Warn, say(|t| t.check_incomplete, [compared, Figure::Count(last.not_compared)]))
                }
                (false, None) => (Tone::Good, say(|t| t.check_equal, [compared])),
            };
            let more = last.ended_at.map(|at| say(|t| t.check_ended, [Figure::Moment(at)]));
            return Self {
                more,
                different: last.different.clone(),
                is_running: last.is_running,
                ..check(tone, verdict)
            };
        }
        let Some(verified) = &seen.status.verified else {
            return check(Tone::Off, say(|t| t.check_none, []));
        };
        let differs: u64 = verified.different.values().sum();
        let compared = Figure::Count(verified.compared);
        let (tone, verdict) = match (differs, verified.passes) {
            (1.., _) => (Tone::Bad, say(|t| t.check_differs, [Figure::Count(differs), compared])),
            (0, 0) => (Tone::Busy, say(|t| t.check_runs, [compared])),
            (0, _) => (Tone::Good, say(|t| t.check_equal, [compared])),
        };
        let more =
            say(|t| t.verified_more, [Figure::Count(verified.passes), Figure::Count(verified.repaired)]);
        let different = verified.different.iter().map(|(what, keys)| (what.clone(), *keys)).collect();
        Self { more: Some(more), different, ..check(tone, verdict) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::LastCheck;
    use crate::view::examples::{followed, with};

    #[test]
    fn verdicts() {
        let of = |last: LastCheck| Check::of(&with(followed(0), |seen| seen.check = Some(last.clone()))).tone;
        let last = LastCheck { compared: 10, ..LastCheck::default() };
        assert_eq!(of(last.clone()), Tone::Good);
        assert_eq!(of(LastCheck { is_running: true, ..last.clone() }), Tone::Busy);
        assert_eq!(of(LastCheck { different: vec![("value".to_owned(), 1)], ..last.clone() }), Tone::Bad);
        assert_eq!(of(LastCheck { not_compared: 1, ..last.clone() }), Tone::Warn);
        assert_eq!(of(LastCheck { failure: Some("gone".to_owned()), ..last }), Tone::Warn);
        assert_eq!(Check::of(&followed(0)).tone, Tone::Off);
    }
}
