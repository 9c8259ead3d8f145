//! What keeps the data safe if something fails now?

use super::headline::room_on_disk;
use super::rates;
use super::tone::Tone;
use crate::seen::Seen;
use crate::text::{Figure, Phrase, Texts, real, say};

/// From how long on a position that does not move is trouble while records come, in milliseconds.
const OLD: u64 = 60_000;

/// Up to how long ago something was just now, in milliseconds.
const RECENT: u64 = 1000;

/// How much of the source's backlog may be used before a person should look.
const NARROW: f64 = 0.5;

/// One thing that keeps the data safe.
#[derive(Debug)]
pub(crate) struct Guard {
    pub name: fn(&Texts) -> &'static str,
    pub tone: Tone,
    pub value: Phrase,
    pub note: Phrase,
    /// How full it is, between 0 and 1.
    pub fill: Option<f64>,
}

/// All of them.
pub(crate) fn guards(seen: &Seen) -> Vec<Guard> {
    let all = [Some(resume_window(seen)), Some(relay_log(seen)), Some(checkpoint(seen)), replicas(seen)];
    all.into_iter().flatten().collect()
}

/// How long the connection to the source may be gone without another full synchronisation.
fn resume_window(seen: &Seen) -> Guard {
    let guard = |tone, value, note, fill| Guard { name: |t| t.resume_window, tone, value, note, fill };
    let Some(window) = seen.status.resume_window else {
        let note = match seen.status.lag {
            Some(_) => say(|t| t.window_unknown, []),
            None => say(|t| t.window_later, []),
        };
        return guard(Tone::Off, say(|t| t.not_known, []), note, None);
    };
    let value = match window.millis {
        Some(millis) => say(|t| t.about_time, [Figure::Time(millis)]),
        None => say(|t| t.records, [Figure::Count(window.left)]),
    };
    let used = 1.0 - real(window.left) / real(window.kept.max(1));
    let tone = if used > NARROW { Tone::Warn } else { Tone::Good };
    let note = say(|t| t.window_note, [Figure::Count(window.left), Figure::Count(window.kept)]);
    guard(tone, value, note, Some(used))
}

fn relay_log(seen: &Seen) -> Guard {
    let guard = |tone, value, note, fill| Guard { name: |t| t.relay_log, tone, value, note, fill };
    let Some(limit) = seen.status.relay_limit else {
        return guard(Tone::Off, say(|t| t.no_relay_log, []), say(|t| t.no_relay_log_note, []), None);
    };
    let all = limit.saturating_mul(seen.status.flows.len().max(1) as u64);
    let used = seen.status.relay_bytes;
    let value = match used {
        0 => say(|t| t.empty, []),
        _ => say(|t| t.one_figure, [Figure::Bytes(used)]),
    };
    let room = room_on_disk(seen, limit);
    // The snapshot does not go there.
    let rate = seen.status.lag.and_then(|_| rates::now(&seen.history, rates::BYTES));
    let note = match rate.and_then(|rate| rates::lasts(room, rate)) {
        Some(millis) => say(|t| t.room_for, [Figure::Bytes(all), Figure::Time(millis)]),
        None => say(|t| t.room_of, [Figure::Bytes(all)]),
    };
    let tone = if used == 0 { Tone::Good } else { Tone::Warn };
    guard(tone, value, note, Some(real(used) / real(all.max(1))))
}

fn checkpoint(seen: &Seen) -> Guard {
    let guard = |tone, value, note| Guard { name: |t| t.checkpoint, tone, value, note, fill: None };
    let Some(age) = seen.status.checkpoint_age else {
        return guard(Tone::Off, say(|t| t.none_yet, []), say(|t| t.checkpoint_none, []));
    };
    // An idle source moves no position.
    let lacks = seen.status.lag.is_some_and(|lag| lag.records > 0);
    let tone = if lacks && age > OLD { Tone::Bad } else { Tone::Good };
    let value = if age < RECENT { say(|t| t.just_now, []) } else { say(|t| t.ago, [Figure::Time(age)]) };
    guard(tone, value, say(|t| t.checkpoint_note, []))
}

/// In a cluster: how many replicas have what a stored position stands for.
fn replicas(seen: &Seen) -> Option<Guard> {
    let wait = seen.wait_replicas.filter(|_| seen.status.target.mode.as_deref() == Some("cluster"))?;
    let (tone, note) = match wait {
        0 => (Tone::Warn, say(|t| t.replicas_none, [])),
        _ => (Tone::Good, say(|t| t.replicas_note, [])),
    };
    Some(Guard {
        name: |t| t.replicas,
        tone,
        value: say(|t| t.per_primary, [Figure::Count(wait)]),
        note,
        fill: None,
    })
}

#[cfg(test)]
mod tests {
    use replica_api::wire::{Lag, ResumeWindow};

    use super::*;
    use crate::view::examples::{followed, with};

    fn tones(seen: &Seen) -> Vec<Tone> {
        guards(seen).iter().map(|guard| guard.tone).collect()
    }

    #[test]
    fn what_is_safe() {
        let seen = with(followed(0), |seen| {
            seen.status.resume_window = Some(ResumeWindow { kept: 8192, left: 8000, millis: None });
            seen.status.checkpoint_age = Some(900);
        });
        assert_eq!(tones(&seen), [Tone::Good, Tone::Good, Tone::Good]);
        let narrow = with(seen.clone(), |seen| {
            seen.status.resume_window = Some(ResumeWindow { kept: 8192, left: 100, millis: Some(900) });
            seen.status.relay_bytes = 1 << 20;
            seen.status.checkpoint_age = Some(90_000);
            seen.status.lag = Some(Lag { records: 9, millis: 90_000 });
        });
        assert_eq!(tones(&narrow), [Tone::Warn, Tone::Warn, Tone::Bad]);
        let cluster = with(seen, |seen| {
            seen.status.target.mode = Some("cluster".to_owned());
            seen.wait_replicas = Some(0);
        });
        assert_eq!(tones(&cluster).last(), Some(&Tone::Warn));
        assert_eq!(tones(&Seen::default()), [Tone::Off, Tone::Off, Tone::Off]);
    }
}
