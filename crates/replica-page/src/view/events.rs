//! What has happened, the newest first.

use crate::seen::Seen;
use crate::text::{Figure, Phrase, say};

/// What has happened.
#[derive(Debug)]
pub(crate) struct Happened {
    /// In milliseconds since 1970.
    pub at: i64,
    pub what: Phrase,
}

fn happened(at: Option<i64>, what: Phrase) -> Option<Happened> {
    at.map(|at| Happened { at, what })
}

/// The parts of the way, the end of the last comparison, and what the run says itself.
pub(crate) fn events(seen: &Seen) -> Vec<Happened> {
    let milestones = &seen.status.milestones;
    let began = Some(seen.status.started_at).filter(|at| *at > 0);
    let way = [
        happened(began, say(|t| t.event_began, [])),
        happened(milestones.snapshot, say(|t| t.event_snapshot, [])),
        happened(milestones.in_sync, say(|t| t.event_in_sync, [])),
        compared(seen),
    ];
    let told = seen.events.iter().map(|event| Happened {
        at: event.at,
        what: say(|t| t.words, [Figure::Words(capital(&event.text))]),
    });
    let mut all: Vec<Happened> = way.into_iter().flatten().chain(told).collect();
    all.sort_by_key(|event| std::cmp::Reverse(event.at));
    all
}

/// A sentence, which begins with a capital. In logs it stands behind other words.
fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn compared(seen: &Seen) -> Option<Happened> {
    let last = seen.checks.last.as_ref()?;
    let what = match last.outcome.as_str() {
        "equal" => say(|t| t.event_equal, []),
        "different" => say(|t| t.event_different, [Figure::Count(last.different)]),
        _ => return None,
    };
    happened(Some(last.ended_at), what)
}

#[cfg(test)]
mod tests {
    use replica_api::wire::OneEvent;

    use super::*;
    use crate::view::examples::{followed, with};

    #[test]
    fn the_newest_comes_first() {
        let seen = with(followed(0), |seen| {
            seen.status.started_at = 1;
            seen.status.milestones.snapshot = Some(3);
            seen.events =
                vec![OneEvent { at: 2, text: "two".to_owned() }, OneEvent { at: 5, text: "five".to_owned() }];
        });
        assert_eq!(events(&seen)[0].what.plain(crate::text::Language::English.texts()), "Five");
        assert_eq!(events(&seen).iter().map(|event| event.at).collect::<Vec<_>>(), [5, 3, 2, 1]);
    }
}
