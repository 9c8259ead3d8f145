//! What a session leaves in the target beside the keys and the positions, for the next one: due times, keys that were left
//! out, keys to be refetched, expiries.

use std::collections::BTreeSet;
use std::time::Instant;

use bytes::Bytes;
use dfly_client::FlowId;
use dfly_translate::Translator;
use dfly_wire::DbIndex;
use redis_resp::Reply;
use redis_slots::{SLOTS, Slot};

use super::databases::databases;
use super::questions::{Question, TargetConnection, demand, members};
use super::replies::{answered, members_of, strange};
use crate::checkpoint::Position;
use crate::error::Error;
use crate::flow::admission::ttl_index::{TtlIndex, TtlLimits};
use crate::flow::refetch::{Noted, Refetch};

/// What a flow takes over from a run before.
pub(crate) struct Heir<'a> {
    pub translator: &'a mut Translator,
    pub refetch: &'a mut Refetch,
    pub now: Instant,
}

impl Heir<'_> {
    fn take_refetch(&mut self, member: &[u8]) {
        if let Some(noted) = Noted::parse(member) {
            self.refetch.adopt(noted, self.now);
        }
    }
}

/// A full synchronisation begins: what runs before have kept beside the keys says nothing of the values that come now.
pub(crate) async fn forget(target: &mut TargetConnection, flows: u16) -> Result<(), Error> {
    if target.has_slots() {
        return forget_in_slots(target, flows).await;
    }
    let names = target.names().clone();
    for db in databases(target).await? {
        target.select(db).await?;
        for flow in 0..flows {
            let (due, left_out) = (names.due(flow, None), names.left_out(flow, None));
            let names = [due, left_out, names.refetch(flow, None), names.expiries(flow)];
            let request = ["DEL".to_owned()].into_iter().chain(names).collect::<Vec<_>>();
            demand(target, "DEL", &request).await?;
        }
    }
    target.select(DbIndex(0)).await?;
    Ok(())
}

/// The expiries that the target holds, if a session before has left them with its last transaction.
pub(crate) async fn ttl_index(
    target: &mut TargetConnection,
    flow: FlowId,
    at: Position,
    limits: TtlLimits,
) -> Result<TtlIndex, Error> {
    let key = target.names().expiries(flow.0);
    let stored = demand(target, "GET", &["GET", &key]).await?;
    demand(target, "DEL", &["DEL", &key]).await?;
    let restored = match &stored {
        Reply::Bulk(value) => TtlIndex::restore(value, at.transaction, limits),
        _ => None,
    };
    Ok(restored.unwrap_or_else(|| TtlIndex::unknown(limits)))
}

/// Takes over what a run before has noted in the target: due times, keys that were left out, keys to be refetched.
pub(crate) async fn adopt(
    target: &mut TargetConnection,
    flow: FlowId,
    heir: &mut Heir<'_>,
) -> Result<(), Error> {
    if target.has_slots() {
        return adopt_from_slots(target, flow, heir).await;
    }
    for db in databases(target).await? {
        target.select(db).await?;
        let due = heir.translator.due_registry(None);
        for member in members(target, "ZRANGE", &[&b"ZRANGE"[..], &due, b"0", b"-1"]).await? {
            heir.translator.adopt_expiring(db, &member);
        }
        let left_out = heir.translator.left_out_registry(None);
        for key in members(target, "SMEMBERS", &[&b"SMEMBERS"[..], &left_out]).await? {
            heir.translator.adopt_left_out(db, &key);
        }
    }
    target.select(DbIndex(0)).await?;
    let key = target.names().refetch(flow.0, None);
    for member in members(target, "SMEMBERS", &["SMEMBERS", &key]).await? {
        heir.take_refetch(&member);
    }
    Ok(())
}

async fn adopt_from_slots(
    target: &mut TargetConnection,
    flow: FlowId,
    heir: &mut Heir<'_>,
) -> Result<(), Error> {
    let names = target.names().clone();
    let slots = noted_slots(target, flow, heir.translator).await?;
    let slots = || slots.iter().copied();
    let due = slots()
        .map(|slot| Question::new(&[b"ZRANGE", &heir.translator.due_registry(Some(slot)), b"0", b"-1"]));
    for member in all_members(target, "ZRANGE", due.collect()).await? {
        heir.translator.adopt_expiring(DbIndex(0), &member);
    }
    let left_out =
        slots().map(|slot| Question::new(&[b"SMEMBERS", &heir.translator.left_out_registry(Some(slot))]));
    for key in all_members(target, "SMEMBERS", left_out.collect()).await? {
        heir.translator.adopt_left_out(DbIndex(0), &key);
    }
    let refetched =
        slots().map(|slot| Question::new(&[b"SMEMBERS", names.refetch(flow.0, Some(slot)).as_bytes()]));
    for member in all_members(target, "SMEMBERS", refetched.collect()).await? {
        heir.take_refetch(&member);
    }
    Ok(())
}

/// The slots in which anything is noted: few, as a rule.
async fn noted_slots(
    target: &mut TargetConnection,
    flow: FlowId,
    translator: &Translator,
) -> Result<BTreeSet<Slot>, Error> {
    // One key a question: of several, none of which is there, a slot on its way says TRYAGAIN for as long as it is.
    let reserved = target.names().clone();
    let names = |slot: Slot| {
        let (due, left_out) = (translator.due_registry(Some(slot)), translator.left_out_registry(Some(slot)));
        [due, left_out, reserved.refetch(flow.0, Some(slot)).into_bytes()].map(|name| (slot, name))
    };
    let names: Vec<(Slot, Vec<u8>)> = (0..SLOTS).map(Slot).flat_map(names).collect();
    let questions: Vec<Question> = names.iter().map(|(_, name)| Question::new(&[b"EXISTS", name])).collect();
    let mut slots = BTreeSet::new();
    for ((slot, _), reply) in names.iter().zip(target.ask_many(&questions).await?) {
        match reply {
            Reply::Integer(0) => {}
            Reply::Integer(_) => drop(slots.insert(*slot)),
            other => return Err(strange("EXISTS", &other)),
        }
    }
    Ok(slots)
}

/// What all these sets hold.
async fn all_members(
    target: &mut TargetConnection,
    name: &'static str,
    questions: Vec<Question>,
) -> Result<Vec<Bytes>, Error> {
    let mut found = Vec::new();
    for reply in target.ask_many(&questions).await? {
        found.extend(members_of(name, reply)?);
    }
    Ok(found)
}

/// Everything of this tool that lies in a slot for its own sake, the positions among it.
async fn forget_in_slots(target: &mut TargetConnection, flows: u16) -> Result<(), Error> {
    // There is the hash of the positions alone, which was written just now.
    if target.sizes().await?.iter().sum::<u64>() <= 1 {
        return Ok(());
    }
    let names = target.names().clone();
    let in_slot = |slot: Slot| {
        let of_flow = |flow| {
            let slot = Some(slot);
            [names.due(flow, slot), names.left_out(flow, slot), names.refetch(flow, slot)]
        };
        let of_flows: Vec<Vec<u8>> = (0..flows).flat_map(of_flow).map(String::into_bytes).collect();
        of_flows.into_iter().chain([names.slot_position(slot)])
    };
    let expiries = (0..flows).map(|flow| names.expiries(flow).into_bytes());
    let names = (0..SLOTS).map(Slot).flat_map(in_slot).chain(expiries);
    let questions: Vec<Question> = names.map(|name| Question::new(&[b"DEL", &name])).collect();
    for reply in target.ask_many(&questions).await? {
        answered("DEL", reply)?;
    }
    Ok(())
}
