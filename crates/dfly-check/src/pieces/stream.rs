//! Streams: entries in windows of ids, then groups, consumers and pending entries.

use std::collections::BTreeMap;

use bytes::Bytes;
use dfly_rdb::{StreamId, UnixMillis};
use dfly_replica::Question;
use redis_resp::Reply;

use super::{Both, PieceError, Scope, array, first};
use crate::by_commands::{count, entry, field, id_of};
use crate::link::{bytes_of, number_of};
use crate::observe::Observer;
use crate::requests::question;
use crate::stream_state::{Group, Pending, StreamState};
use crate::verdict::What;

/// How many pending entries are read at once.
const PENDING: &[u8] = b"1000";

pub(super) async fn compare(both: &mut Both<'_>, scope: Scope) -> Result<Vec<What>, PieceError> {
    let window = both.elements_of_a_piece(scope.lengths.0).await?.to_string();
    let differ = entries(both, (scope, &window)).await?;
    let mut what: Vec<What> = (differ > 0).then_some(What::Elements { differ }).into_iter().collect();
    let (pair, tolerance_ms) = (both.pair, both.rules.tolerance_ms);
    let one = state(both.source, (&pair.source.name, pair.source.db), "source").await?;
    let other = state(both.target, (&pair.target.name, pair.target.db), "target").await?;
    what.extend(one.differences(&other, tolerance_ms.saturating_add(CLOCKS)));
    Ok(what)
}

/// Times of delivery are told by how long they are ago, at two different moments, in milliseconds.
const CLOCKS: i64 = 1000;

/// How many entries differ. A window ends where the shorter one of both sides does, so that both go on at the same id.
async fn entries(both: &mut Both<'_>, (scope, window): (Scope, &str)) -> Result<u64, PieceError> {
    let (mut differ, mut from) = (0, "-".to_owned());
    loop {
        let rest: [&[u8]; 4] = [from.as_bytes(), b"+", b"COUNT", window.as_bytes()];
        let (one, other) = both.ask_both(|key| question(&[b"XRANGE"], key, &rest)).await?;
        let (one, other) = (read(one, "source")?, read(other, "target")?);
        let last = match (one.last_key_value(), other.last_key_value()) {
            (None, None) => return Ok(differ),
            (Some((last, _)), None) | (None, Some((last, _))) => *last,
            (Some((one, _)), Some((other, _))) => *one.min(other),
        };
        let upto = |side: &BTreeMap<StreamId, u128>| {
            side.range(..=last).map(|(id, entry)| (*id, *entry)).collect::<BTreeMap<_, _>>()
        };
        let (one, other) = (upto(&one), upto(&other));
        let differs = one.iter().filter(|(id, entry)| other.get(id) != Some(entry)).count();
        let extra = other.keys().filter(|id| !one.contains_key(id)).count();
        differ += (differs + extra) as u64;
        from = format!("({last}");
        if scope.is_sampled {
            return Ok(differ);
        }
    }
}

fn read(reply: Reply, side: &'static str) -> Result<BTreeMap<StreamId, u128>, PieceError> {
    let entries = array(reply, side)?;
    let found: Option<BTreeMap<_, _>> = entries.iter().map(entry).collect();
    found.ok_or_else(|| PieceError::Key(format!("on the {side}: an entry has another form")))
}

/// All of a stream but its entries.
async fn state(
    side: &mut Observer,
    (key, db): (&Bytes, dfly_wire::DbIndex),
    name: &'static str,
) -> Result<StreamState, PieceError> {
    let strange = || PieceError::Key(format!("on the {name}: its groups are not told"));
    let asked = [question(&[b"XINFO", b"STREAM"], key, &[]), question(&[b"XINFO", b"GROUPS"], key, &[])];
    let replies = side.link.ask(db, &asked).await?;
    let head = replies.first().ok_or_else(strange)?;
    let mut state = StreamState {
        last_id: field(head, "last-generated-id").and_then(id_of).ok_or_else(strange)?,
        max_deleted_id: field(head, "max-deleted-entry-id").and_then(id_of),
        entries_added: count(field(head, "entries-added")),
        groups: BTreeMap::new(),
    };
    let found = array(replies.get(1).cloned().unwrap_or(Reply::Nil), name)?;
    for told in &found {
        let group = field(told, "name").and_then(bytes_of).ok_or_else(strange)?;
        let consumers = question(&[b"XINFO", b"CONSUMERS"], key, &[&group]);
        let consumers = array(first(side.link.ask(db, &[consumers]).await?), name)?;
        let names = consumers.iter().map(|told| field(told, "name").and_then(bytes_of));
        let read = Group {
            last_id: field(told, "last-delivered-id").and_then(id_of).ok_or_else(strange)?,
            entries_read: count(field(told, "entries-read")),
            consumers: names.collect::<Option<_>>().ok_or_else(strange)?,
            pending: pending(side, (key, db), (&group, name)).await?,
        };
        state.groups.insert(group, read);
    }
    Ok(state)
}

async fn pending(
    side: &mut Observer,
    (key, db): (&Bytes, dfly_wire::DbIndex),
    (group, name): (&Bytes, &'static str),
) -> Result<BTreeMap<StreamId, Pending>, PieceError> {
    let (mut found, mut from) = (BTreeMap::new(), "-".to_owned());
    loop {
        let asked: Question = question(&[b"XPENDING"], key, &[group, from.as_bytes(), b"+", PENDING]);
        let page = array(first(side.link.ask(db, &[asked]).await?), name)?;
        let now = side.now();
        let read: Option<Vec<_>> = page.iter().map(|told| of_pending(told, now)).collect();
        let read =
            read.ok_or_else(|| PieceError::Key(format!("on the {name}: a pending entry has another form")))?;
        let Some((last, _)) = read.last() else { return Ok(found) };
        from = format!("({last}");
        found.extend(read);
    }
}

fn of_pending(reply: &Reply, now: UnixMillis) -> Option<(StreamId, Pending)> {
    let [id, consumer, idle, deliveries] = crate::by_commands::array(reply)? else { return None };
    let delivered_at = UnixMillis(now.0.saturating_sub(number_of(idle)?));
    let deliveries = count(Some(deliveries))?;
    Some((id_of(id)?, Pending { consumer: bytes_of(consumer)?, delivered_at, deliveries }))
}
