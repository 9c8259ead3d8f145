//! Is it all right? One sentence and a colour.

use dfly_cutover::{Stage, Withdrawal};
use dfly_replica::Phase;
use replica_api::wire::Lag;

use super::nodes::node_rows;
use super::rates;
use super::tone::Tone;
use crate::seen::{Answer, Seen};
use crate::text::{Figure, Phrase, real, say};

/// From how long on a target is said not to answer, in milliseconds.
const SILENT: u64 = 1500;

/// Below this, the target is said to have everything, in milliseconds.
const TINY: u64 = 100;

/// From how far behind on it is said that it catches up, in milliseconds.
const BEHIND: u64 = 2000;

/// From how far behind on a person should look, in milliseconds.
const FAR_BEHIND: u64 = 30_000;

/// The answer to the first question.
#[derive(Debug)]
pub(crate) struct Headline {
    pub tone: Tone,
    pub sentence: Phrase,
    /// What is spoken instead of it, so that nobody hears of a change of numbers alone.
    pub spoken: Option<Phrase>,
    /// What there is to add.
    pub more: Option<Phrase>,
    /// What the run asks a person.
    pub question: Option<String>,
}

fn headline(tone: Tone, sentence: Phrase) -> Headline {
    Headline { tone, sentence, spoken: None, more: None, question: None }
}

impl Headline {
    /// Of a run.
    pub(crate) fn of(seen: &Seen) -> Self {
        not_there(seen)
            .or_else(|| asking(seen))
            .or_else(|| cutting_over(seen))
            .or_else(|| without_target(seen))
            .unwrap_or_else(|| by_phase(seen))
    }

    fn with(self, more: Option<Phrase>) -> Self {
        Self { more, ..self }
    }
}

fn not_there(seen: &Seen) -> Option<Headline> {
    match seen.answer {
        Answer::Live => None,
        Answer::Never => Some(headline(Tone::Bad, say(|t| t.no_run, []))),
        Answer::Gone { last } => {
            let sentence = say(|t| t.no_answer, []);
            Some(headline(Tone::Bad, sentence).with(Some(say(|t| t.no_answer_more, [Figure::Moment(last)]))))
        }
    }
}

fn asking(seen: &Seen) -> Option<Headline> {
    let question = seen.status.question.clone()?;
    let asks = headline(Tone::Warn, say(|t| t.asks, []));
    Some(Headline { question: Some(question), ..asks })
}

/// A cutover that goes on, or that has ended with the source.
fn cutting_over(seen: &Seen) -> Option<Headline> {
    let (tone, sentence) = match &seen.cutover.as_ref()?.stage {
        Stage::Approaching => (Tone::Busy, say(|t| t.cut_approaching, [])),
        Stage::Comparing => (Tone::Busy, say(|t| t.cut_comparing, [])),
        Stage::Stopping => (Tone::Busy, say(|t| t.cut_stopping, [])),
        Stage::Draining => (Tone::Busy, say(|t| t.cut_draining, [])),
        Stage::Verifying => (Tone::Busy, say(|t| t.cut_verifying, [])),
        Stage::Safe { .. } => return Some(safe(seen, say(|t| t.cut_safe, []))),
        Stage::TakenOver { .. } => return Some(safe(seen, say(|t| t.cut_taken_over, []))),
        Stage::Withdrawn { because, .. } => (Tone::Bad, withdrawn(because)),
        Stage::DryRun { .. } | Stage::Undone { .. } | Stage::Released { .. } => return None,
    };
    Some(headline(tone, sentence))
}

/// Why it is not safe to switch any more.
pub(crate) fn withdrawn(because: &Withdrawal) -> Phrase {
    match because {
        Withdrawal::Written { records } => say(|t| t.cut_withdrawn, [Figure::Count(*records)]),
        Withdrawal::CopiedAgain => say(|t| t.cut_copied_again, []),
    }
}

/// Every record is there. Keys that differed before may differ still.
fn safe(seen: &Seen, sentence: Phrase) -> Headline {
    match differences(seen) {
        0 => headline(Tone::Good, sentence),
        keys => headline(Tone::Warn, say(|t| t.cut_unequal, [Figure::Count(keys)]))
            .with(Some(say(|t| t.cut_repair, []))),
    }
}

/// The target takes nothing, or has not answered for a while.
fn without_target(seen: &Seen) -> Option<Headline> {
    let status = &seen.status;
    let is_followed = matches!(status.phase, Phase::FullSync | Phase::StableSync);
    let silent = status.unanswered.filter(|millis| *millis >= SILENT);
    let is_silent = silent.is_some() || status.stalled.is_some();
    if !is_followed || !is_silent || status.is_paused {
        return None;
    }
    // A target that is gone has no batch that waits for it, but records that it lacks.
    let since = silent.or(status.lag.map(|lag| lag.millis)).unwrap_or_default();
    let sentence = match troubled_node(seen) {
        Some(node) => say(|t| t.node_not_answering, [Figure::Words(node), Figure::Time(since)]),
        None => say(|t| t.target_silent, [Figure::Time(since)]),
    };
    Some(headline(Tone::Bad, sentence).with(Some(where_the_journal_goes(seen))))
}

/// The node of a cluster that is waited for.
fn troubled_node(seen: &Seen) -> Option<String> {
    let rows = node_rows(seen);
    let first = rows.first().filter(|row| rows.len() > 1 && row.tone.is_trouble())?;
    Some(first.of.address.clone())
}

fn where_the_journal_goes(seen: &Seen) -> Phrase {
    let status = &seen.status;
    let Some(limit) = status.relay_limit else { return say(|t| t.journal_waits, []) };
    if status.phase != Phase::StableSync {
        return say(|t| t.snapshot_waits, []);
    }
    let room = room_on_disk(seen, limit);
    let lasts = rates::now(&seen.history, rates::BYTES).and_then(|rate| rates::lasts(room, rate));
    match lasts {
        Some(millis) => say(|t| t.journal_to_disk, [Figure::Time(millis)]),
        None => say(|t| t.journal_to_disk_bytes, [Figure::Bytes(room)]),
    }
}

/// How many bytes the relay logs of all flows take still.
pub(crate) fn room_on_disk(seen: &Seen, limit: u64) -> u64 {
    seen.status.flows.iter().map(|flow| limit.saturating_sub(flow.relay_bytes)).sum()
}

fn by_phase(seen: &Seen) -> Headline {
    match seen.status.phase {
        Phase::Connecting => headline(Tone::Busy, say(|t| t.connecting, [])),
        Phase::Reconnecting => headline(Tone::Warn, say(|t| t.reconnecting, [])),
        Phase::Stopped => headline(Tone::Off, say(|t| t.stopped, [])),
        Phase::FullSync | Phase::StableSync if seen.status.is_paused => {
            headline(Tone::Warn, say(|t| t.paused, [behind(seen)]))
        }
        Phase::FullSync => snapshot(seen),
        Phase::StableSync => following(seen),
    }
}

fn behind(seen: &Seen) -> Figure {
    Figure::Time(seen.status.lag.map_or(0, |lag| lag.millis))
}

fn snapshot(seen: &Seen) -> Headline {
    let rate = rates::now(&seen.history, rates::KEYS);
    let more =
        rate.map(|rate| say(|t| t.snapshot_rate, [Figure::Count(seen.status.keys), Figure::Rate(rate)]));
    let Some(share) = share_of_snapshot(seen) else {
        return headline(Tone::Busy, say(|t| t.snapshot_keys, [Figure::Count(seen.status.keys)]));
    };
    let left = seen.status.source_keys.unwrap_or(0).saturating_sub(seen.status.keys);
    let sentence = match rate.and_then(|rate| rates::lasts(left, rate)) {
        Some(millis) if left > 0 => {
            say(|t| t.snapshot_left, [Figure::Share(share), Figure::Time(about(millis))])
        }
        _ => say(|t| t.snapshot_share, [Figure::Share(share)]),
    };
    headline(Tone::Busy, sentence).with(more)
}

/// A time that is only guessed, in whole seconds, and in whole minutes above two.
fn about(millis: u64) -> u64 {
    let seconds = millis.div_ceil(1000);
    let seconds = if seconds > 120 { seconds.div_ceil(60) * 60 } else { seconds.max(10) };
    seconds * 1000
}

/// How much of the snapshot has come, by the source's own count of its keys.
pub(crate) fn share_of_snapshot(seen: &Seen) -> Option<f64> {
    let of = seen.status.source_keys.filter(|of| *of > 0)?;
    Some((real(seen.status.keys) / real(of)).min(1.0))
}

fn following(seen: &Seen) -> Headline {
    let status = &seen.status;
    let Some(Lag { millis, .. }) = status.lag else { return headline(Tone::Busy, say(|t| t.following, [])) };
    let lag = [Figure::Time(millis)];
    let both = both_rates(seen);
    if status.in_sync {
        let differs = differences(seen);
        let sentence = match millis {
            _ if differs > 0 => {
                return headline(Tone::Bad, say(|t| t.in_sync_but, [Figure::Count(differs)])).with(both);
            }
            0..TINY => say(|t| t.in_sync_now, []),
            _ => say(|t| t.in_sync, lag),
        };
        let spoken = Some(say(|t| t.in_sync_spoken, []));
        return Headline { spoken, ..headline(Tone::Good, sentence).with(both) };
    }
    match millis {
        FAR_BEHIND.. => headline(Tone::Warn, say(|t| t.far_behind, lag)).with(catching_up(seen)),
        BEHIND.. => headline(Tone::Busy, say(|t| t.catching_up, lag)).with(catching_up(seen)),
        _ if status.is_removing_extra_keys => headline(Tone::Busy, say(|t| t.removing, lag)),
        _ if status.refetching > 0 => headline(
            Tone::Busy,
            say(|t| t.refetching, [Figure::Count(status.refetching), Figure::Time(millis)]),
        ),
        _ => headline(Tone::Good, say(|t| t.nearly_in_sync, lag)).with(both),
    }
}

/// How many keys differed when they were compared last.
pub(crate) fn differences(seen: &Seen) -> u64 {
    match (&seen.checks.last, &seen.status.verified) {
        (Some(last), _) => last.different,
        (None, Some(verified)) => verified.different.values().sum(),
        (None, None) => 0,
    }
}

/// How fast both sides are.
fn both_rates(seen: &Seen) -> Option<Phrase> {
    let (journaled, applied) =
        (rates::now(&seen.history, rates::JOURNALED)?, rates::now(&seen.history, rates::APPLIED)?);
    Some(say(|t| t.both_rates, [Figure::Rate(journaled), Figure::Rate(applied)]))
}

/// Whether the target gains on the source.
fn catching_up(seen: &Seen) -> Option<Phrase> {
    let (journaled, applied) =
        (rates::now(&seen.history, rates::JOURNALED)?, rates::now(&seen.history, rates::APPLIED)?);
    let records = seen.status.lag?.records;
    match rates::lasts(records, applied - journaled) {
        Some(millis) => Some(say(|t| t.gains, [Figure::Count(records), Figure::Time(about(millis))])),
        None => Some(say(
            |t| t.loses_ground,
            [Figure::Count(records), Figure::Rate(journaled), Figure::Rate(applied)],
        )),
    }
}

#[cfg(test)]
mod tests {
    use replica_api::wire::{CheckResult, TargetNode};

    use super::*;
    use crate::text::Language;
    use crate::view::examples::{copying, followed, with};

    fn told(seen: &Seen) -> (Tone, String) {
        let told = Headline::of(seen);
        let texts = Language::English.texts();
        let more = told.more.map_or(String::new(), |more| format!(" | {}", more.plain(texts)));
        (told.tone, format!("{}{more}", told.sentence.plain(texts)).replace('\u{a0}', " "))
    }

    #[test]
    fn in_sync_and_behind() {
        let rates = "Records: source 1,000/s, target 1,000/s";
        assert_eq!(told(&followed(300)), (Tone::Good, format!("In sync, 0.3 s behind | {rates}")));
        assert_eq!(told(&followed(0)), (Tone::Good, format!("In sync, less than 0.1 s behind | {rates}")));
        let (tone, text) = told(&with(followed(4000), |seen| seen.status.in_sync = false));
        assert_eq!((tone, text.starts_with("Catching up, 4.0 s behind")), (Tone::Busy, true), "{text}");
        let far = with(followed(60_000), |seen| seen.status.in_sync = false);
        let (tone, text) = told(&far);
        assert_eq!((tone, text.starts_with("The target is 1 min behind")), (Tone::Warn, true), "{text}");
        assert_eq!(told(&with(followed(300), |seen| seen.status.is_paused = true)).0, Tone::Warn);
    }

    #[test]
    fn how_long_a_snapshot_takes() {
        let seen = copying(620_000, 1_000_000, 1600);
        assert_eq!(
            told(&seen),
            (
                Tone::Busy,
                "Copying the snapshot: 62%, about 4 min left | 620,000 keys so far, 1,600/s".to_owned()
            )
        );
        let unknown = with(seen, |seen| seen.status.source_keys = None);
        assert_eq!(told(&unknown).1, "Copying the snapshot: 620,000 keys so far");
    }

    #[test]
    fn a_target_that_does_not_answer() {
        let silent = with(followed(40_000), |seen| {
            seen.status.unanswered = Some(40_000);
            seen.status.in_sync = false;
        });
        assert_eq!(
            told(&silent),
            (Tone::Bad, "The target has not answered for 40 s | The journal goes to disk; there is room for 3 h 33 min".to_owned())
        );
        let of_cluster = with(silent.clone(), |seen| {
            let node = |address: &str, is_away| TargetNode {
                address: address.to_owned(),
                is_away,
                ..TargetNode::default()
            };
            seen.status.nodes = vec![node("a:1", false), node("b:2", true)];
        });
        assert!(told(&of_cluster).1.starts_with("The target node b:2 has not answered for 40 s"));
        let without_disk = with(silent.clone(), |seen| seen.status.relay_limit = None);
        assert!(told(&without_disk).1.contains("nothing is kept on disk"), "{:?}", told(&without_disk));
        let gone = with(silent, |seen| {
            seen.status.unanswered = None;
            seen.status.stalled = Some("connection refused".to_owned());
        });
        assert!(told(&gone).1.starts_with("The target has not answered for 40 s"));
    }

    #[test]
    fn what_goes_before_everything_else() {
        let asks = with(followed(0), |seen| seen.status.question = Some("remove 7 keys?".to_owned()));
        assert_eq!(told(&asks), (Tone::Warn, "The run waits for your answer".to_owned()));
        let gone = with(asks, |seen| seen.answer = Answer::Gone { last: 0 });
        assert_eq!(told(&gone).0, Tone::Bad);
        let safe = with(followed(0), |seen| {
            seen.cutover = Some(Stage::Safe { evidence: dfly_cutover::Evidence::default() }.into());
        });
        assert_eq!(told(&safe).0, Tone::Good);
        let unequal = with(safe, |seen| {
            seen.checks.last = Some(CheckResult { different: 2, ..CheckResult::default() });
        });
        assert_eq!(told(&unequal).0, Tone::Warn);
        assert!(told(&unequal).1.contains("found differences: 2"), "{:?}", told(&unequal));
    }
}
