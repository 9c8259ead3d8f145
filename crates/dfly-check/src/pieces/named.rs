//! Sets, hashes and sorted sets: the elements of one side are looked up on the other.

use bytes::Bytes;
use dfly_rdb::{UnixMillis, ValueKind};
use redis_resp::Reply;

use super::{Both, PieceError, Scope, array, first};
use crate::by_commands::score_of;
use crate::link::{bytes_of, number_of};
use crate::requests::question;
use crate::verdict::What;

/// Which side's elements are read; they are looked up on the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Source,
    Target,
}

/// What was counted.
#[derive(Debug, Default)]
struct Counts {
    /// Elements that the other side lacks, or with another value.
    differ: u64,
    /// Elements with another expiry.
    expiries: u64,
}

/// Compares the elements. The target's are looked up on the source too if there are not as many on both sides.
pub(super) async fn compare(
    kind: ValueKind,
    both: &mut Both<'_>,
    scope: Scope,
) -> Result<Vec<What>, PieceError> {
    let mut counts = Counts::default();
    walk(kind, (both, From::Source), (scope, &mut counts)).await?;
    if scope.lengths.0 != scope.lengths.1 && !scope.is_sampled {
        walk(kind, (both, From::Target), (scope, &mut counts)).await?;
    }
    let elements = (counts.differ > 0).then_some(What::Elements { differ: counts.differ });
    let expiries = (counts.expiries > 0).then_some(What::FieldExpiries { differ: counts.expiries });
    Ok(elements.into_iter().chain(expiries).collect())
}

async fn walk(
    kind: ValueKind,
    (both, from): (&mut Both<'_>, From),
    (scope, counts): (Scope, &mut Counts),
) -> Result<(), PieceError> {
    let count = both.elements_of_a_piece(scope.lengths.0).await?.to_string();
    let has_expiries =
        kind != ValueKind::SortedSet && from == From::Source && has_expiries(both, kind).await?;
    let mut cursor = Bytes::from_static(b"0");
    loop {
        let (next, page) = page(kind, (both, from), (&cursor, &count)).await?;
        let named = elements(kind, page);
        let found = look_up(kind, (both, from), &named).await?;
        let expired = match has_expiries {
            true => compare_expiries(kind, both, (&named, counts)).await?,
            false => Vec::new(),
        };
        let is_expired = |nth: usize| expired.get(nth).copied().unwrap_or(false);
        let differs = |(nth, is_same): &(usize, &bool)| !**is_same && !is_expired(*nth);
        counts.differ += found.iter().enumerate().filter(differs).count() as u64;
        cursor = next;
        if cursor == "0" || scope.is_sampled {
            return Ok(());
        }
    }
}

async fn has_expiries(both: &mut Both<'_>, kind: ValueKind) -> Result<bool, PieceError> {
    let (db, key) = (both.pair.source.db, both.pair.source.name.clone());
    Ok(both.source.has_field_expiries(db, &key, kind == ValueKind::Set).await?)
}

/// The next cursor, and what a SCAN of the value gives.
async fn page(
    kind: ValueKind,
    (both, from): (&mut Both<'_>, From),
    (cursor, count): (&Bytes, &str),
) -> Result<(Bytes, Vec<Reply>), PieceError> {
    let name: &'static [u8] = match kind {
        ValueKind::Set => b"SSCAN",
        ValueKind::Hash => b"HSCAN",
        _ => b"ZSCAN",
    };
    let rest: [&[u8]; 3] = [cursor, b"COUNT", count.as_bytes()];
    let (side, reply) = match from {
        From::Source => {
            let asked = question(&[name], &both.pair.source.name, &rest);
            ("source", both.ask_source(&[asked]).await?)
        }
        From::Target => {
            let asked = question(&[name], &both.pair.target.name, &rest);
            ("target", both.ask_target(&[asked]).await?)
        }
    };
    let mut parts = array(first(reply), side)?.into_iter();
    match (parts.next().as_ref().and_then(bytes_of), parts.next()) {
        (Some(cursor), Some(Reply::Array(page))) => Ok((cursor, page)),
        _ => Err(PieceError::Key(format!("on the {side}: the answer to a SCAN has another form"))),
    }
}

/// An element, and its value or score.
struct Element {
    name: Bytes,
    value: Reply,
}

fn elements(kind: ValueKind, page: Vec<Reply>) -> Vec<Element> {
    let mut replies = page.into_iter();
    let mut found = Vec::new();
    while let Some(name) = replies.next() {
        let value = if kind == ValueKind::Set { Reply::Nil } else { replies.next().unwrap_or(Reply::Nil) };
        found.extend(bytes_of(&name).map(|name| Element { name, value }));
    }
    found
}

/// Whether the other side has the same, for each element.
async fn look_up(
    kind: ValueKind,
    (both, from): (&mut Both<'_>, From),
    elements: &[Element],
) -> Result<Vec<bool>, PieceError> {
    if elements.is_empty() {
        return Ok(Vec::new());
    }
    let name: &'static [u8] = match kind {
        ValueKind::Set => b"SMISMEMBER",
        ValueKind::Hash => b"HMGET",
        _ => b"ZMSCORE",
    };
    let key = if from == From::Source { &both.pair.target.name } else { &both.pair.source.name };
    let mut asked = question(&[name], key, &[]);
    asked.0.extend(elements.iter().map(|element| element.name.clone()));
    let (side, reply) = match from {
        From::Source => ("target", both.ask_target(&[asked]).await?),
        From::Target => ("source", both.ask_source(&[asked]).await?),
    };
    let replies = array(first(reply), side)?;
    let is_same = |(element, reply): (&Element, &Reply)| match kind {
        ValueKind::Set => number_of(reply) == Some(1),
        ValueKind::Hash => bytes_of(reply).is_some() && bytes_of(reply) == bytes_of(&element.value),
        _ => score_of(reply).is_some() && score_of(reply) == score_of(&element.value),
    };
    Ok(elements.iter().zip(&replies).map(is_same).collect())
}

/// Compares when the elements expire, and says which of the source's have.
async fn compare_expiries(
    kind: ValueKind,
    both: &mut Both<'_>,
    (elements, counts): (&[Element], &mut Counts),
) -> Result<Vec<bool>, PieceError> {
    let is_set = kind == ValueKind::Set;
    let names: Vec<Bytes> = elements.iter().map(|element| element.name.clone()).collect();
    let Both { source, target, pair, rules } = both;
    let (one, other) = (&pair.source, &pair.target);
    let named = |side: &'static str| move |reason| PieceError::Key(format!("on the {side}: {reason}"));
    let left = source.expiries_of(one.db, &one.name, (is_set, &names)).await?.map_err(named("source"))?;
    let now = source.now();
    let is_expired = |at: &Option<UnixMillis>| at.is_some_and(|at| at <= now);
    let expired: Vec<bool> = left.iter().map(is_expired).collect();
    let mut right =
        target.expiries_of(other.db, &other.name, (is_set, &names)).await?.map_err(named("target"))?;
    let noted = Bytes::from(rules.names.expiry(&other.name));
    let mut asked = question(&[b"ZMSCORE"], &noted, &[]);
    asked.0.extend(names);
    let noted = array(first(target.link.ask(other.db, &[asked]).await?), "target")?;
    for (right, noted) in right.iter_mut().zip(&noted) {
        *right = right.or_else(|| millis(score_of(noted)?));
    }
    // Dragonfly tells whole seconds.
    let tolerance_ms = rules.tolerance_ms + 1000;
    let is_far = |(left, right): &(&Option<UnixMillis>, &Option<UnixMillis>)| match (left, right) {
        (Some(left), Some(right)) => left.0.saturating_sub(right.0).saturating_abs() > tolerance_ms,
        (left, right) => left != right,
    };
    let far = left.iter().zip(&right).zip(&expired).filter(|(pair, expired)| !**expired && is_far(pair));
    counts.expiries += far.count() as u64;
    Ok(expired)
}

/// A due time, which the tool notes as a score.
pub(crate) fn millis(score: f64) -> Option<UnixMillis> {
    format!("{score:.0}").parse().ok().map(UnixMillis)
}
