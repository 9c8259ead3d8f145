//! The commands of a cluster's connections in an order that does not depend on how long things take.
//!
//! A snapshot has no batches that a test could pace, and in a cluster each batch is sorted by slot; so of a long snapshot only
//! the order within each slot is certain. A flow's position is stored once an interval, behind questions to every primary, so
//! how often that happens until nothing more is to come is not certain either: only the last time is.

use std::collections::BTreeSet;

use bytes::Bytes;
use redis_slots::Slot;

use super::masks::Spoken;
use crate::resp::{Command, begins};

/// What stores a flow's position.
const STORE: [&str; 3] = ["HSET", "df2redis:checkpoint", "source"];

/// Commands that belong together, by their slot.
type Unit = (Option<Slot>, Vec<Command>);

/// The same commands slot by slot, without those that store the flow's position.
pub(super) fn slot_by_slot(commands: &[Command]) -> Vec<Command> {
    let mut units: Vec<Unit> = Vec::new();
    let mut is_open = false;
    for command in commands.iter().filter(|command| !begins(command, &STORE)) {
        match units.last_mut().filter(|_| is_open) {
            Some((slot, unit)) => {
                *slot = slot.or(slot_of(command));
                unit.push(command.clone());
            }
            None => units.push((slot_of(command), vec![command.clone()])),
        }
        is_open = command[0] == "MULTI" || (is_open && command[0] != "EXEC");
    }
    units.sort_by_key(|(slot, _)| slot.map(|slot| slot.0));
    units.into_iter().flat_map(|(_, unit)| without_batch(unit)).collect()
}

/// Of a transaction of the snapshot only the commands: which of them form one depends on the batches. Those of the journal
/// store positions from 2^63 on.
fn without_batch(unit: Vec<Command>) -> Vec<Command> {
    let [multi, inner @ .., store, _exec] = &unit[..] else { return unit };
    let position: Option<u64> = store.get(3).and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    match position.filter(|_| multi[0] == "MULTI") {
        Some(position) if position < 1 << 63 => inner.to_vec(),
        _ => unit,
    }
}

/// The commands of a writer, of those that store the flow's position the last before each rest alone, behind the others.
pub(super) fn last_stores(spoken: &Spoken) -> Vec<Command> {
    let stores = |command: &&Command| begins(command, &STORE);
    let shown = |part: &[Command]| {
        let others = part.iter().filter(|command| !stores(command));
        others.chain(part.iter().rfind(stores)).cloned().collect::<Vec<_>>()
    };
    between_rests(spoken).flat_map(shown).collect()
}

/// The questions about positions, between two rests each once, about the last position.
pub(super) fn last_questions(spoken: &Spoken) -> Vec<Command> {
    let shown = |part: &[Command]| {
        let last = part.iter().rfind(|command| command[0] == "HSET");
        let is_shown = |command: &&Command| command[0] != "HSET" || last == Some(*command);
        part.iter().filter(is_shown).cloned().collect::<BTreeSet<_>>()
    };
    between_rests(spoken).flat_map(shown).collect()
}

fn between_rests(spoken: &Spoken) -> impl Iterator<Item = &[Command]> {
    let lengths = spoken.rests.chunk_by(|one, other| one == other).map(<[usize]>::len);
    lengths.scan(&spoken.commands[..], |rest, length| {
        let (part, behind) = rest.split_at(length);
        *rest = behind;
        Some(part)
    })
}

/// Each question once, whatever the position that it is about.
pub(super) fn distinct(commands: &[Command]) -> Vec<Command> {
    let nameless = |command: &Command| match &command[0][..] {
        b"HSET" => [&command[..3], &[Bytes::from("a-position")]].concat(),
        _ => command.clone(),
    };
    commands.iter().map(nameless).collect::<BTreeSet<_>>().into_iter().collect()
}

/// What the transactions hold, without their borders, positions and checks.
pub(super) fn without_borders(commands: &[Command]) -> Vec<Command> {
    let is_border = |command: &Command| match &command[0][..] {
        b"WATCH" | b"MULTI" | b"EXEC" => true,
        // Until when expiries are checked depends on when the scan for them ends, beside the disk.
        b"EVAL" => command
            .iter()
            .any(|word| word.starts_with(b"df2redis:guard:") || word.starts_with(b"df2redis:reread:")),
        b"HSET" => command[1].starts_with(b"df2redis:{") || command[1] == "df2redis:checkpoint",
        // A value that is of use behind one transaction alone.
        b"SET" => command[1].starts_with(b"df2redis:expiries:"),
        _ => false,
    };
    commands.iter().filter(|command| !is_border(command)).cloned().collect()
}

fn slot_of(command: &Command) -> Option<Slot> {
    let at = match &command[0][..] {
        b"MULTI" | b"EXEC" | b"CLIENT" | b"ASKING" => return None,
        b"EVAL" => 3,
        b"XGROUP" => 2,
        _ => 1,
    };
    command.get(at).map(|key| Slot::of(key))
}
