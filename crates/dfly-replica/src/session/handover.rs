//! What a session leaves in the target beside the keys and the positions, for the next one: due times, keys that were left
//! out, keys to be read again, expiries.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use dfly_client::FlowId;
use dfly_translate::{ReservedNames, Translator};
use dfly_wire::DbIndex;
use redis_resp::Reply;
use redis_slots::{SLOTS, Slot};

use crate::checkpoint::Position;
use crate::error::Error;
use crate::expiries::Expiries;
use crate::flow::Wanted;
use crate::target::{Question, TargetConnection, databases, demand, members, members_of, strange};

/// What runs before have kept beside the keys says nothing of the values that come now.
pub(super) async fn forget(
    target: &mut TargetConnection,
    names: &ReservedNames,
    flows: u16,
) -> Result<(), Error> {
    if target.is_cluster() {
        return forget_in_slots(target, names, flows).await;
    }
    for db in databases(target).await? {
        target.select(db).await?;
        for flow in 0..flows {
            let (due, left_out) = (names.due(flow, None), names.left_out(flow, None));
            let names = [due, left_out, names.reread(flow, None), names.expiries(flow)];
            let request = ["DEL".to_owned()].into_iter().chain(names).collect::<Vec<_>>();
            demand(target, "DEL", &request).await?;
        }
    }
    target.select(DbIndex(0)).await?;
    Ok(())
}

/// The expiries that the target holds, if a session before has left them with its last transaction.
pub(super) async fn expiries(
    target: &mut TargetConnection,
    key: &str,
    at: Position,
    limits: (usize, Duration),
) -> Result<Expiries, Error> {
    let stored = demand(target, "GET", &["GET", key]).await?;
    demand(target, "DEL", &["DEL", key]).await?;
    let restored = match &stored {
        Reply::Bulk(value) => Expiries::restore(value, at.transaction, limits),
        _ => None,
    };
    Ok(restored.unwrap_or_else(|| Expiries::unknown(limits.0, limits.1)))
}

/// Takes over what a run before has noted in the target: due times, keys that were left out, keys to be read again.
pub(super) async fn adopt(
    target: &mut TargetConnection,
    flow: FlowId,
    (translator, wanted): (&mut Translator, &mut Wanted),
) -> Result<(), Error> {
    if target.is_cluster() {
        return adopt_from_slots(target, flow, (translator, wanted)).await;
    }
    for db in databases(target).await? {
        target.select(db).await?;
        let due = translator.due_registry(None);
        for member in members(target, "ZRANGE", &[&b"ZRANGE"[..], &due, b"0", b"-1"]).await? {
            translator.adopt_expiring(db, &member);
        }
        let left_out = translator.left_out_registry(None);
        for key in members(target, "SMEMBERS", &[&b"SMEMBERS"[..], &left_out]).await? {
            translator.adopt_left_out(db, &key);
        }
    }
    target.select(DbIndex(0)).await?;
    let key = translator.rules().names.reread(flow.0, None);
    for member in members(target, "SMEMBERS", &[&b"SMEMBERS"[..], key.as_bytes()]).await? {
        wanted.adopt(&member);
    }
    Ok(())
}

async fn adopt_from_slots(
    target: &mut TargetConnection,
    flow: FlowId,
    (translator, wanted): (&mut Translator, &mut Wanted),
) -> Result<(), Error> {
    let slots = noted_slots(target, flow, translator).await?;
    let slots = || slots.iter().copied();
    let due =
        slots().map(|slot| Question::new(&[b"ZRANGE", &translator.due_registry(Some(slot)), b"0", b"-1"]));
    for member in all_members(target, ("ZRANGE", due.collect())).await? {
        translator.adopt_expiring(DbIndex(0), &member);
    }
    let left_out =
        slots().map(|slot| Question::new(&[b"SMEMBERS", &translator.left_out_registry(Some(slot))]));
    for key in all_members(target, ("SMEMBERS", left_out.collect())).await? {
        translator.adopt_left_out(DbIndex(0), &key);
    }
    let read_again = slots().map(|slot| {
        Question::new(&[b"SMEMBERS", translator.rules().names.reread(flow.0, Some(slot)).as_bytes()])
    });
    for member in all_members(target, ("SMEMBERS", read_again.collect())).await? {
        wanted.adopt(&member);
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
    let names = |slot: Slot| {
        let (due, left_out) = (translator.due_registry(Some(slot)), translator.left_out_registry(Some(slot)));
        [due, left_out, translator.rules().names.reread(flow.0, Some(slot)).into_bytes()]
            .map(|name| (slot, name))
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
    (name, questions): (&'static str, Vec<Question>),
) -> Result<Vec<Bytes>, Error> {
    let mut found = Vec::new();
    for reply in target.ask_many(&questions).await? {
        found.extend(members_of(name, reply)?);
    }
    Ok(found)
}

/// Everything of this tool that lies in a slot for its own sake, the positions among it.
async fn forget_in_slots(
    target: &mut TargetConnection,
    names: &ReservedNames,
    flows: u16,
) -> Result<(), Error> {
    // There is the hash of the positions alone, which was written just now.
    if target.sizes().await?.iter().sum::<u64>() <= 1 {
        return Ok(());
    }
    let in_slot = |slot: Slot| {
        let of_flow = move |flow| {
            let slot = Some(slot);
            [names.due(flow, slot), names.left_out(flow, slot), names.reread(flow, slot)]
        };
        (0..flows).flat_map(of_flow).map(String::into_bytes).chain([names.slot_position(slot)])
    };
    let expiries = (0..flows).map(|flow| names.expiries(flow).into_bytes());
    let names = (0..SLOTS).map(Slot).flat_map(in_slot).chain(expiries);
    let questions: Vec<Question> = names.map(|name| Question::new(&[b"DEL", &name])).collect();
    for reply in target.ask_many(&questions).await? {
        if let Reply::Error(error) = reply {
            return Err(Error::TargetAnswer { request: "DEL", answer: error.to_string() });
        }
    }
    Ok(())
}
