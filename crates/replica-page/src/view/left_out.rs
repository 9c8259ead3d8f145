//! What was left out, and what waits?

use crate::seen::Seen;
use crate::text::{Figure, Phrase, Texts, say};

use super::tone::Tone;

/// One line: what, how many, and what it means.
#[derive(Debug)]
pub(crate) struct Line {
    pub tone: Tone,
    pub what: What,
    pub count: Phrase,
}

/// What is counted.
#[derive(Debug)]
pub(crate) enum What {
    /// A text of the table.
    Known(fn(&Texts) -> &'static str),
    /// A name that reports have too.
    Named(fn(&Texts) -> &'static str, String),
}

/// The lines of what was left out, of what waits, and of what was mended.
#[derive(Debug)]
pub(crate) struct LeftOut {
    pub left_out: Vec<Line>,
    pub waits: Vec<Line>,
    pub mended: Vec<Line>,
}

fn line(tone: Tone, what: fn(&Texts) -> &'static str, count: Phrase) -> Line {
    Line { tone, what: What::Known(what), count }
}

fn count(count: u64) -> Phrase {
    say(|t| t.one_figure, [Figure::Count(count)])
}

impl LeftOut {
    /// Of a run.
    pub(crate) fn of(seen: &Seen) -> Self {
        Self { left_out: left_out(seen), waits: waits(seen), mended: mended(seen) }
    }
}

fn left_out(seen: &Seen) -> Vec<Line> {
    let status = &seen.status;
    let lost = status.left_out.iter().map(|(kind, keys)| Line {
        tone: Tone::Warn,
        what: What::Named(|t| t.lost, kind.clone()),
        count: count(*keys),
    });
    let evicted =
        (status.evicted_keys > 0).then(|| line(Tone::Bad, |t| t.evicted, count(status.evicted_keys)));
    let refused = status.refusals.iter().map(|(code, commands)| Line {
        tone: Tone::Warn,
        what: What::Named(|t| t.target_refuses, code.clone()),
        count: count(*commands),
    });
    lost.chain(refused).chain(evicted).collect()
}

fn waits(seen: &Seen) -> Vec<Line> {
    let status = &seen.status;
    let waiting = match (status.refetching, status.oldest_refetch) {
        (0, _) => None,
        (keys, Some(oldest)) => Some(say(|t| t.keys_oldest, [Figure::Count(keys), Figure::Time(oldest)])),
        (keys, None) => Some(count(keys)),
    };
    let waiting = waiting.map(|waiting| line(Tone::Busy, |t| t.keys_to_refetch, waiting));
    let removing =
        status.is_removing_extra_keys.then(|| line(Tone::Busy, |t| t.removes_extra, say(|t| t.goes_on, [])));
    waiting.into_iter().chain(removing).collect()
}

fn mended(seen: &Seen) -> Vec<Line> {
    let status = &seen.status;
    let quirks = status.refetches.iter().map(|(why, keys)| Line {
        tone: Tone::Good,
        what: What::Named(|t| t.refetched_for, why.clone()),
        count: count(*keys),
    });
    let retries = status.retries.iter().map(|(what, times)| Line {
        tone: Tone::Good,
        what: What::Named(|t| t.retried, what.clone()),
        count: count(*times),
    });
    let extra = (status.extra_keys_removed > 0)
        .then(|| line(Tone::Good, |t| t.extra_removed, count(status.extra_keys_removed)));
    quirks.chain(extra).chain(retries).collect()
}
