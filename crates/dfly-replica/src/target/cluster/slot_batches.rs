//! A batch of commands becomes one unit for each slot that it touches. Pure.

use dfly_client::FlowId;
use dfly_journal::Lsn;
use dfly_translate::{CommandFacts, ReservedNames};
use redis_resp::{CommandBatch, EncodedCommand, EncodedCommands, SpareBatch};
use redis_sink::cluster::{Cut, Unit};
use redis_slots::{SLOTS, Slot};

use super::options::field;
use crate::target::plain_sets;

/// The bit that positions of the journal have, and those of the snapshot have not.
const JOURNAL: u64 = 1 << 63;

/// How many bits tell transactions of a slot apart that stand behind the same record. It takes a sweep a second for 18 hours
/// without a record to need them all, and a source pings more often.
const TURN_BITS: u32 = 16;

/// How many bytes of units share memory, which is free again when all of them have settled.
const SHARED: usize = 64 << 10;

/// The position that a transaction writes in its slot. It grows from one transaction of the slot to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct SlotPosition(pub u64);

impl SlotPosition {
    /// In the journal, before the record `next`.
    fn behind(next: Lsn) -> Self {
        Self(JOURNAL | (next.0 << TURN_BITS) & !JOURNAL)
    }

    /// The first record that the slot lacks, as far as its transactions tell; `None` behind a part of the snapshot.
    pub(crate) fn next(self) -> Option<Lsn> {
        (self.0 & JOURNAL != 0).then_some(Lsn((self.0 & !JOURNAL) >> TURN_BITS))
    }

    fn then(self, at_least: Self) -> Self {
        let is_last_turn = self.0 & ((1 << TURN_BITS) - 1) == (1 << TURN_BITS) - 1;
        let following = if is_last_turn && self.next().is_some() { self.0 } else { self.0 + 1 };
        at_least.max(Self(following))
    }
}

/// Makes the units of one flow.
#[derive(Debug)]
pub(crate) struct SlotBatches {
    names: ReservedNames,
    field: String,
    /// The last position of each slot.
    last: Vec<SlotPosition>,
    /// Empty; kept for its allocation.
    places: Vec<Place>,
    /// Allocations of a batch that was cut.
    spare: Option<SpareBatch>,
}

/// A batch whose commands become units, those of one slot after the other.
#[derive(Debug)]
pub(crate) struct UncutBatch {
    commands: EncodedCommands,
    /// The commands by slot, those of a slot in their order.
    places: Vec<Place>,
    /// How many places are cut.
    cut: usize,
    at_least: SlotPosition,
}

impl UncutBatch {
    /// Whether all of it is in units.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut == self.places.len()
    }

    /// The commands that are in no unit yet; those of a key in their order.
    pub(crate) fn rest(&self) -> impl Iterator<Item = EncodedCommand<'_>> {
        let places = self.places.get(self.cut..).unwrap_or_default();
        places.iter().filter_map(|place| place.of(&self.commands))
    }
}

/// A command of a batch. The index has 32 bits, because a batch of 4 G commands would be larger than any memory limit, and places
/// are many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    turn: Turn,
    index: u32,
    idempotent: bool,
}

impl Place {
    fn of(self, commands: &EncodedCommands) -> Option<EncodedCommand<'_>> {
        commands.command(usize::try_from(self.index).ok()?)
    }
}

/// When it is a slot's turn. A node has a range of slots, and slots whose turns follow each other are far apart, so all nodes have
/// work while a batch is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn(u16);

impl Turn {
    /// The inverse of 10125 modulo the number of slots: the turn after a slot's is that of the slot 10125 further on, which is the
    /// golden section of all slots.
    const STEP: u16 = 13125;

    fn of(slot: Slot) -> Self {
        Self(slot.0.wrapping_mul(Self::STEP) % SLOTS)
    }
}

impl SlotBatches {
    /// For a flow of which no slot holds a position.
    pub(crate) fn new(names: ReservedNames, flow: FlowId) -> Self {
        Self {
            names,
            field: field(flow),
            last: vec![SlotPosition::default(); usize::from(SLOTS)],
            places: Vec::new(),
            spare: None,
        }
    }

    /// A slot holds this position.
    pub(crate) fn hold(&mut self, slot: Slot, position: SlotPosition) {
        if let Some(last) = self.last.get_mut(usize::from(slot.0)) {
            *last = position;
        }
    }

    /// The commands of a batch, which leaves it empty. It holds all records before `next`, or a part of the snapshot.
    pub(crate) fn begin(&mut self, batch: &mut CommandBatch, next: Option<Lsn>) -> UncutBatch {
        let commands = batch.take();
        if let Some(spare) = self.spare.take() {
            batch.recycle(spare);
        }
        let mut places = std::mem::take(&mut self.places);
        debug_assert!(u32::try_from(commands.len()).is_ok(), "a batch has more than 4 G commands");
        places.extend((0..u32::MAX).zip(commands.iter()).map(|(index, command)| Place {
            turn: Turn::of(slot_of(command)),
            index,
            idempotent: CommandFacts::of(command).idempotent,
        }));
        places.sort_unstable();
        UncutBatch { commands, places, cut: 0, at_least: next.map(SlotPosition::behind).unwrap_or_default() }
    }

    /// The next units of a batch. Each has the commands of a slot in their order, as a transaction that
    /// stores its position if one of them must not be carried out again.
    pub(crate) fn cut(&mut self, batch: &mut UncutBatch) -> impl Iterator<Item = Unit> + use<> {
        let (mut out, mut cuts) = (CommandBatch::default(), Vec::new());
        let rest = batch.places.get(batch.cut..).unwrap_or_default();
        for places in rest.chunk_by(|one, other| one.turn == other.turn) {
            batch.cut += places.len();
            cuts.push(self.unit(&batch.commands, places, batch.at_least, &mut out));
            if out.byte_len() >= SHARED {
                break;
            }
        }
        Unit::cut(&mut out, cuts)
    }

    /// Keeps the allocations of a batch that is cut.
    pub(crate) fn recycle(&mut self, batch: UncutBatch) {
        self.places = batch.places;
        self.places.clear();
        self.spare = batch.commands.into_spare().or(self.spare.take());
    }

    /// Writes the commands of one slot.
    fn unit(
        &mut self,
        commands: &EncodedCommands,
        places: &[Place],
        at_least: SlotPosition,
        out: &mut CommandBatch,
    ) -> Cut {
        let first = places.first().and_then(|place| place.of(commands));
        let slot = first.map_or(Slot(0), slot_of);
        if places.iter().all(|place| place.idempotent) {
            let count = push(out, commands, places);
            return Cut { slot, count, position: None };
        }
        let position = self.following(slot, at_least);
        out.push(&[b"MULTI"]);
        let count = push(out, commands, places);
        let (key, text) = (self.names.slot_position(slot), position.0.to_string());
        out.push(&[b"HSET", &key, self.field.as_bytes(), text.as_bytes()]);
        out.push(&[b"EXEC"]);
        Cut { slot, count: count + 3, position: Some(position.0) }
    }

    fn following(&mut self, slot: Slot, at_least: SlotPosition) -> SlotPosition {
        let Some(last) = self.last.get_mut(usize::from(slot.0)) else { return at_least };
        *last = last.then(at_least);
        *last
    }
}

/// Adds the commands at these places. Returns how many were added: runs of plain SETs become one each.
fn push(batch: &mut CommandBatch, commands: &EncodedCommands, places: &[Place]) -> usize {
    plain_sets::push_merged(batch, |at| places.get(at)?.of(commands))
}

/// The slot of a command for the target. It has at least one key, and all of its keys lie in one slot.
fn slot_of(command: EncodedCommand<'_>) -> Slot {
    Slot::of(command.keys().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use dfly_wire::DbIndex;
    use redis_resp::{arguments, commands};

    use super::*;

    fn all(made: &mut SlotBatches, batch: &mut CommandBatch, next: Option<Lsn>) -> Vec<Unit> {
        let mut uncut = made.begin(batch, next);
        let mut units = Vec::new();
        while !uncut.is_cut() {
            let left = uncut.rest().count();
            units.extend(made.cut(&mut uncut));
            assert!(uncut.rest().count() < left);
        }
        assert_eq!(uncut.rest().count(), 0);
        made.recycle(uncut);
        units
    }

    fn units(units: &mut SlotBatches, lines: &[&str], next: Option<u64>) -> Vec<Vec<String>> {
        let mut batch = CommandBatch::default();
        for line in lines {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let facts = CommandFacts::data(DbIndex(0));
            let is_repeatable = matches!(words[0], b"SET" | b"DEL");
            let facts = if is_repeatable { facts.idempotent() } else { facts };
            let key = if words[0] == b"XGROUP" { 2 } else { 1 };
            batch.push_keyed(&words, key..key + 1, facts.tag());
        }
        let made = all(units, &mut batch, next.map(Lsn));
        assert!(batch.is_empty());
        let line = |command| {
            arguments(command).map(|word| word.escape_ascii().to_string()).collect::<Vec<_>>().join(" ")
        };
        made.iter().map(|unit| commands(unit.wire()).map(line).collect()).collect()
    }

    #[test]
    fn a_transaction_where_one_must_not_be_repeated() {
        let mut made = SlotBatches::new(ReservedNames::default(), FlowId(2));
        let position = |next: u64, turn: u64| {
            let key = ReservedNames::default().slot_position(Slot::of(b"foo")).escape_ascii().to_string();
            format!("HSET {key} flow:2 {}", JOURNAL | (next << 16) | turn)
        };
        let lines = ["SET bar 1", "SET foo 1", "INCR {foo}n", "DEL bar", "XGROUP CREATE {bar}s g 0"];
        assert_eq!(
            units(&mut made, &lines[..4], Some(8)),
            [
                vec!["SET bar 1".to_owned(), "DEL bar".to_owned()],
                vec![
                    "MULTI".to_owned(),
                    "SET foo 1".to_owned(),
                    "INCR {foo}n".to_owned(),
                    position(8, 0),
                    "EXEC".to_owned()
                ],
            ]
        );
        let again = units(&mut made, &["INCR foo"], Some(8));
        assert_eq!(again[0][2], position(8, 1), "behind the same record, and told apart");
        made.hold(Slot::of(b"foo"), SlotPosition::behind(Lsn(20)));
        let behind = units(&mut made, &["INCR foo"], Some(9));
        assert_eq!(behind[0][2], position(20, 1), "a slot's position never falls");
        assert_eq!(units(&mut made, &lines[4..], Some(9)).len(), 1);
    }

    /// Plain SETs that follow each other in their slot become one MSET, whatever lies between them in the batch.
    #[test]
    fn plain_sets_of_a_slot_become_one() {
        let mut made = SlotBatches::new(ReservedNames::default(), FlowId(2));
        let mut batch = CommandBatch::default();
        let data = CommandFacts::data(DbIndex(0));
        let set = |batch: &mut CommandBatch, key: &[u8]| {
            batch.push_keyed(&[b"SET", key, b"1"], 1..2, data.idempotent().plain_set(true).tag());
        };
        set(&mut batch, b"foo");
        set(&mut batch, b"bar");
        batch.push_keyed(&[b"INCR", b"{bar}n"], 1..2, data.tag());
        set(&mut batch, b"{foo}2");
        set(&mut batch, b"{bar}2");
        set(&mut batch, b"{bar}3");
        let units = all(&mut made, &mut batch, Some(Lsn(8)));
        let names = |unit: &Unit| -> Vec<(String, usize)> {
            unit.commands().iter().map(|it| (it.name(), it.keys().count())).collect()
        };
        let named = |names: &[(&str, usize)]| -> Vec<(String, usize)> {
            names.iter().map(|(name, keys)| ((*name).to_owned(), *keys)).collect()
        };
        assert_eq!(
            units.iter().map(names).collect::<Vec<_>>(),
            [
                named(&[("MULTI", 0), ("SET", 1), ("INCR", 1), ("MSET", 2), ("HSET", 0), ("EXEC", 0)]),
                named(&[("MSET", 2)]),
            ]
        );
    }

    /// Its units share memory in several parts. Each command comes once, in the unit of its slot, in its order.
    #[test]
    fn a_large_batch_is_cut_like_a_small_one() {
        let (mut made, mut batch) =
            (SlotBatches::new(ReservedNames::default(), FlowId(0)), CommandBatch::default());
        let key = |serial: usize| format!("{{{}}}:{serial}:{}", serial % 997, "k".repeat(100));
        for serial in 0..5000 {
            let facts = CommandFacts::data(DbIndex(0));
            batch.push_keyed(&[b"INCR", key(serial).as_bytes()], 1..2, facts.tag());
        }
        assert!(batch.byte_len() > 4 * SHARED);
        let units = all(&mut made, &mut batch, Some(Lsn(8)));
        let mut seen: Vec<String> = Vec::new();
        for unit in &units {
            let words: Vec<Vec<&[u8]>> =
                commands(unit.wire()).map(|wire| arguments(wire).collect()).collect();
            assert_eq!((words[0][0], words[words.len() - 1][0]), (&b"MULTI"[..], &b"EXEC"[..]));
            let keys = words.iter().filter(|words| words[0] == b"INCR").map(|words| words[1]);
            let keys: Vec<String> = keys.map(|key| String::from_utf8_lossy(key).into_owned()).collect();
            assert!(keys.iter().all(|key| Slot::of(key.as_bytes()) == unit.slot()));
            let serials = keys.iter().map(|key| key.split(':').nth(1).unwrap().parse::<usize>().unwrap());
            assert!(serials.is_sorted(), "{keys:?}");
            seen.extend(keys);
        }
        seen.sort_unstable();
        let mut expected: Vec<String> = (0..5000).map(key).collect();
        expected.sort_unstable();
        assert!(seen == expected);
        let slots: std::collections::BTreeSet<Slot> = units.iter().map(Unit::slot).collect();
        assert_eq!(slots.len(), units.len(), "one unit for each slot");
    }

    #[test]
    fn positions_of_the_snapshot_come_before_all_of_the_journal() {
        let mut last = SlotPosition::default();
        for _ in 0..1 << 20 {
            last = last.then(SlotPosition::default());
        }
        assert_eq!((last.next(), last.0), (None, 1 << 20));
        let first = last.then(SlotPosition::behind(Lsn(1)));
        assert_eq!((first.next(), first > last), (Some(Lsn(1)), true));
        let mut turn = first;
        for _ in 0..1 << 17 {
            turn = turn.then(SlotPosition::behind(Lsn(1)));
        }
        assert_eq!(turn.next(), Some(Lsn(1)), "no record is passed over that was not carried out");
    }
}
