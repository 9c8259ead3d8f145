//! What is in flight to a cluster, and what waits. Pure: it takes replies and times, and returns bytes and tags.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasherDefault;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use redis_resp::{EncodedCommand, EncodedCommands, ErrorCode, Outcome, ServerError};
use redis_slots::{Redirect, Slot, Topology};

use crate::cluster::ledger::Ledger;
use crate::cluster::map::{ClusterMap, NodeId};
use crate::cluster::node_lane::{Expected, NodeLane};
use crate::cluster::piece::{Answer, Piece, Way};
use crate::cluster::slot_queue::{Resolved, SlotHasher, SlotQueue};
use crate::cluster::split::Split;
use crate::cluster::unit::{Lost, Memo, Unit};
use crate::cluster::verdict::Verdict;
use crate::refusal::Refusal;
use crate::tally::Tally;
use crate::window::{WindowError, WindowLimits};

/// How long to wait before a temporarily refused command is resent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    /// The first pause. It doubles each time that the command is refused again.
    pub shortest: Duration,
    /// The maximum.
    pub longest: Duration,
}

impl Default for Pauses {
    /// From 5 ms, about the time that a key takes to move, to 1 s.
    fn default() -> Self {
        Self { shortest: Duration::from_millis(5), longest: Duration::from_secs(1) }
    }
}

impl Pauses {
    /// The pause after this many failures in a row.
    pub(super) fn behind(&self, failures: u32) -> Duration {
        let doubled = 1u32.checked_shl(failures.saturating_sub(1).min(20)).unwrap_or(1);
        self.shortest.saturating_mul(doubled).min(self.longest)
    }
}

/// How many refusals in a row mean that a slot is stuck, rather than that a key is just moving: about five seconds.
const STUCK: u32 = 12;

/// A batch that takes units. It belongs to the window that has opened it.
#[derive(Debug)]
pub struct OpenBatch(usize);

/// Batches of units in flight to the nodes of a cluster. `T` is the tag that the caller gets back when a batch has settled.
///
/// Units of a slot are carried out in the order of their batches. The caller opens connections to the
/// [`wanted`](Self::wanted) nodes, writes the [`outgoing`](Self::outgoing) bytes, and passes in every reply.
#[derive(Debug)]
pub struct ClusterWindow<T> {
    pauses: Pauses,
    map: ClusterMap,
    ledger: Ledger<T>,
    slots: HashMap<Slot, Box<SlotQueue>, BuildHasherDefault<SlotHasher>>,
    /// Empty queues whose allocations are reused. There are never more of them than there were slots at the same time.
    #[expect(clippy::vec_box, reason = "they move between the map and here without being copied")]
    spare: Vec<Box<SlotQueue>>,
    lanes: BTreeMap<NodeId, NodeLane>,
    /// When the pauses of slots end.
    paused: BTreeSet<(Instant, Slot)>,
    wanted: BTreeSet<NodeId>,
    is_stale: bool,
    refusals: Vec<Refusal>,
    /// What was answered since the first of `refusals`, and since the first of those that were taken last.
    behind_refusals: [Vec<EncodedCommands>; 2],
    lost: Vec<Lost>,
    replaced: BTreeSet<NodeId>,
    passing: Option<ServerError>,
    memo: Option<Memo>,
    split: Option<Split>,
}

impl<T> ClusterWindow<T> {
    /// An empty window, with no connection open.
    pub fn new(limits: WindowLimits, pauses: Pauses, map: ClusterMap) -> Self {
        Self {
            pauses,
            map,
            ledger: Ledger::new(limits),
            slots: HashMap::default(),
            spare: Vec::new(),
            lanes: BTreeMap::new(),
            paused: BTreeSet::new(),
            wanted: BTreeSet::new(),
            is_stale: false,
            refusals: Vec::new(),
            behind_refusals: Default::default(),
            lost: Vec::new(),
            replaced: BTreeSet::new(),
            passing: None,
            memo: None,
            split: None,
        }
    }

    /// The same window, with a memo about each command that is given up.
    #[must_use]
    pub fn with_memo(self, memo: Option<Memo>) -> Self {
        Self { memo, ..self }
    }

    /// The same window, in which commands of several keys are taken apart if they are refused temporarily.
    #[must_use]
    pub fn with_split(self, split: Option<Split>) -> Self {
        Self { split, ..self }
    }

    /// Takes a batch. A batch without commands settles when everything before it has settled.
    pub fn push(&mut self, units: impl IntoIterator<Item = Unit>, tag: T) {
        let batch = self.open_batch(tag);
        self.add(&batch, units);
        self.close_batch(batch);
    }

    /// Begins a batch. Until it is closed, it takes units and does not settle.
    pub fn open_batch(&mut self, tag: T) -> OpenBatch {
        OpenBatch(self.ledger.begin(tag))
    }

    /// The batch is complete.
    pub fn close_batch(&mut self, OpenBatch(number): OpenBatch) {
        self.ledger.close(number);
    }

    /// Takes units of a batch: at most one for each slot of the whole batch.
    pub fn add(&mut self, batch: &OpenBatch, units: impl IntoIterator<Item = Unit>) {
        let number = batch.0;
        for unit in units.into_iter().filter(|unit| !unit.commands.is_empty()) {
            let piece = Piece::new(unit.commands, unit.form, number, Way::Owner);
            self.ledger.count(&piece);
            let spare = &mut self.spare;
            let queue = self.slots.entry(unit.slot).or_insert_with(|| spare.pop().unwrap_or_default());
            queue.push(piece);
            self.send(unit.slot);
        }
    }

    /// The bytes to be written to `node`. The caller removes written bytes from the front.
    pub fn outgoing(&mut self, node: NodeId) -> &mut BytesMut {
        &mut self.lanes.entry(node).or_default().outgoing
    }

    /// Whether something that was sent to `node` has no reply yet.
    pub fn is_reply_due(&self, node: NodeId) -> bool {
        self.lanes.get(&node).is_some_and(NodeLane::is_reply_due)
    }

    /// What became of the commands that `node` has answered, and how many replies are due.
    pub fn tally(&self, node: NodeId) -> (Tally, usize) {
        self.lanes.get(&node).map_or_else(Default::default, |lane| (lane.tally, lane.due()))
    }

    /// Takes the next reply of `node`, which belongs to the oldest command there without one (P4).
    ///
    /// # Errors
    /// [`WindowError`]: a refusal that neither another node nor a retry can resolve. Its batch never settles.
    pub fn on_outcome(&mut self, node: NodeId, outcome: Outcome, now: Instant) -> Result<(), WindowError> {
        let expected = self.lanes.get_mut(&node).and_then(NodeLane::reply).ok_or(WindowError::Unasked)?;
        match (expected, outcome) {
            // The command after ASKING is refused too, or its reply is MOVED.
            (Expected::Asking, Outcome::Refused(error))
                if matches!(Verdict::of(&error), Verdict::Later { .. }) =>
            {
                Ok(())
            }
            (Expected::Asking, Outcome::Refused(error)) => Err(NodeLane::asking_refused(error)),
            (Expected::Asking, _) => Ok(()),
            (Expected::Command(slot), outcome) => self.on_answer((node, slot), outcome, now),
        }
    }

    fn on_answer(
        &mut self,
        (node, slot): (NodeId, Slot),
        outcome: Outcome,
        now: Instant,
    ) -> Result<(), WindowError> {
        let queue = self.slots.get_mut(&slot).ok_or(WindowError::Unasked)?;
        let answer = queue.on_outcome(outcome);
        if !matches!(answer, Ok(Answer::Taken))
            && let Some(lane) = self.lanes.get_mut(&node)
        {
            count(&answer, &mut lane.tally);
        }
        let is_answered = match answer? {
            Answer::Taken => queue.is_piece_answered(),
            Answer::Dropped(refusals) => {
                if let Some(memo) = &self.memo {
                    let mut about = memo.of(refusals.iter().map(Refusal::command));
                    let note = queue.note(&mut about);
                    note.iter().for_each(|piece| self.ledger.count(piece));
                    queue.put_back(note);
                }
                self.refusals.extend(refusals);
                queue.is_piece_answered()
            }
            Answer::Passing(place, error) => self.on_passing((node, slot), place, error)?,
        };
        if is_answered {
            self.settle(slot, now);
        }
        Ok(())
    }

    /// Handles a temporary refusal at `place` of the piece of `slot` that is being answered. Returns whether that was the
    /// last reply to the piece.
    fn on_passing(
        &mut self,
        (node, slot): (NodeId, Slot),
        place: usize,
        error: ServerError,
    ) -> Result<bool, WindowError> {
        let verdict = Verdict::of(&error);
        if matches!(verdict, Verdict::Later { .. }) {
            self.passing = Some(error.clone());
        }
        let is_foreign = verdict.slot().is_some_and(|named| named != slot);
        let way = if is_foreign { None } else { self.way((node, slot), verdict) };
        let queue = self.slots.get_mut(&slot).ok_or(WindowError::Unasked)?;
        if is_foreign {
            return Err(queue.misplaced(place, error));
        }
        queue.send_again(place, way);
        Ok(queue.is_piece_answered())
    }

    /// Where a command that `node` refused is resent; `None` if it has to wait.
    fn way(&mut self, (node, slot): (NodeId, Slot), verdict: Verdict) -> Option<Way> {
        match verdict {
            Verdict::Moved(to) => {
                self.is_stale = true;
                let owner = self.redirected(node, &to)?;
                self.map.moved(slot, owner);
                Some(Way::Owner)
            }
            Verdict::Ask(to) => self.redirected(node, &to).map(Way::Ask),
            Verdict::Later { is_stale } => {
                self.is_stale |= is_stale;
                None
            }
            Verdict::Refused | Verdict::Fatal => None,
        }
    }

    fn redirected(&mut self, node: NodeId, to: &Redirect) -> Option<NodeId> {
        let asked = self.map.address(node).map(|address| address.host.clone())?;
        let address = to.address(&asked);
        self.is_stale |= address.is_none();
        self.map.number(&address?)
    }

    /// Settles what the replies of a slot allow, and continues with the rest.
    fn settle(&mut self, slot: Slot, now: Instant) {
        let Some(queue) = self.slots.get_mut(&slot) else { return };
        while let Some(piece) = queue.settled() {
            self.ledger.uncount(&piece);
            if !self.refusals.is_empty() {
                self.behind_refusals[0].push(piece.commands);
            }
        }
        if queue.is_resolvable() {
            self.resolve(slot, now);
        }
        self.go_on(slot);
    }

    fn resolve(&mut self, slot: Slot, now: Instant) {
        let Some(queue) = self.slots.get_mut(&slot) else { return };
        let Resolved { sent, mut again, lost } = queue.resolve(slot, self.split.as_ref());
        if let (Some(memo), Some(oldest)) = (&self.memo, sent.front()) {
            let mut about = memo.of(lost.iter().map(Lost::command));
            again.extend(Piece::plain(&mut about, oldest.batch));
        }
        again.iter().for_each(|piece| self.ledger.count(piece));
        sent.iter().for_each(|piece| self.ledger.uncount(piece));
        self.lost.extend(lost);
        queue.put_back(again);
        if let Some(failures) = queue.pause() {
            self.paused.insert((now + self.pauses.behind(failures), slot));
        }
    }

    /// Sends what may be sent of `slot`, or removes the slot's queue if it is empty.
    fn go_on(&mut self, slot: Slot) {
        match self.slots.get(&slot) {
            Some(queue) if queue.is_empty() => {
                if let Some(mut empty) = self.slots.remove(&slot) {
                    empty.clear();
                    self.spare.push(empty);
                }
            }
            Some(queue) if queue.is_waiting() => self.send(slot),
            _ => {}
        }
    }

    /// Sends what may be sent of `slot`.
    fn send(&mut self, slot: Slot) {
        let (Some(queue), Some(owner)) = (self.slots.get_mut(&slot), self.map.owner(slot)) else { return };
        while let Some(route) = queue.next(owner) {
            let lane = self.lanes.entry(route.node).or_default();
            if !lane.is_open {
                self.wanted.insert(route.node);
                return;
            }
            if let Some(piece) = queue.send(route) {
                lane.write(slot, piece, route.asking);
            }
        }
    }

    /// Ends the pauses that are over at `now`. Returns whether there were any.
    pub fn on_time(&mut self, now: Instant) -> bool {
        let mut ended = false;
        while let Some((end, slot)) = self.paused.first().copied().filter(|(end, _)| *end <= now) {
            self.paused.remove(&(end, slot));
            ended = true;
            if let Some(queue) = self.slots.get_mut(&slot) {
                queue.on_pause_end();
            }
            self.send(slot);
        }
        ended
    }

    /// When [`Self::on_time`] is next due.
    pub fn next_time(&self) -> Option<Instant> {
        self.paused.first().map(|(end, _)| *end)
    }

    /// A connection to `node` is open, and every request on it has its reply.
    pub fn on_open(&mut self, node: NodeId) {
        self.lanes.entry(node).or_default().is_open = true;
        self.wanted.remove(&node);
        self.send_all();
    }

    /// The connection to `node` broke. Until [`Self::on_positions`], it is not known whether what was sent there was
    /// carried out.
    pub fn on_broken(&mut self, node: NodeId) {
        self.lanes.entry(node).or_default().break_off();
        self.slots.values_mut().for_each(|queue| queue.on_broken(node));
    }

    /// Whether something was sent to `node` and it is not known whether it was carried out.
    pub fn is_in_doubt(&self, node: NodeId) -> bool {
        self.slots.values().any(|queue| queue.is_in_doubt_at(node))
    }

    /// The slots whose positions tell what `node` has carried out.
    pub fn in_doubt(&self, node: NodeId) -> Vec<Slot> {
        let is_wanted = |queue: &SlotQueue| queue.is_in_doubt_at(node) && queue.is_position_wanted();
        self.slots.iter().filter(|(_, queue)| is_wanted(queue)).map(|(slot, _)| *slot).collect()
    }

    /// Nothing more from the broken connection to `node` can be carried out, and slots hold these `positions` (0 if none is
    /// given). Transactions at or below them have been carried out; the rest is resent in order.
    pub fn on_positions(&mut self, node: NodeId, positions: &BTreeMap<Slot, u64>, now: Instant) {
        let in_doubt = self.slots.iter().filter(|(_, queue)| queue.is_in_doubt_at(node));
        for slot in in_doubt.map(|(slot, _)| *slot).collect::<Vec<_>>() {
            let position = positions.get(&slot).copied().unwrap_or(0);
            let done = self.slots.get_mut(&slot).map(|queue| queue.on_position(position));
            done.iter().flatten().for_each(|piece| self.ledger.uncount(piece));
            self.resolve(slot, now);
            self.go_on(slot);
        }
    }

    /// Switches to `topology`, which was read from the host `asked`.
    pub fn on_topology(&mut self, topology: &Topology, asked: &str) {
        self.replaced.extend(self.map.update(topology, asked));
        self.is_stale = false;
        let (map, lanes) = (&self.map, &self.lanes);
        let is_gone = |node| !map.is_primary(node) && !lanes.get(&node).is_some_and(|lane| lane.is_open);
        self.slots.values_mut().for_each(|queue| queue.forget_ask(is_gone));
        self.wanted.clear();
        self.send_all();
    }

    fn send_all(&mut self) {
        for slot in self.slots.keys().copied().collect::<Vec<_>>() {
            self.send(slot);
        }
    }

    /// Something suggests that the topology has changed.
    pub fn on_stale(&mut self) {
        self.is_stale = true;
    }

    /// Whether the topology should be read again.
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// The nodes for which something is waiting, and which have no open connection.
    pub fn wanted(&self) -> impl Iterator<Item = NodeId> {
        self.wanted.iter().copied()
    }

    /// The nodes, and the owner of each slot.
    pub fn map(&self) -> &ClusterMap {
        &self.map
    }

    /// The tag of the oldest batch, if all of it has been carried out except what [`Self::take_refusals`] and
    /// [`Self::take_lost`] return. Call those first. Tags come in the order of [`Self::push`].
    pub fn settled(&mut self) -> Option<T> {
        self.ledger.settled()
    }

    /// The commands that were refused permanently since the last call. They are not retried. The other commands of their
    /// transactions were carried out.
    pub fn take_refusals(&mut self) -> Vec<Refusal> {
        let [behind, told] = &mut self.behind_refusals;
        *told = std::mem::take(behind);
        std::mem::take(&mut self.refusals)
    }

    /// The commands whose place in the order of their slot was lost since the last call. They are not retried, so the
    /// caller must restore the values of their keys in another way.
    pub fn take_lost(&mut self) -> Vec<Lost> {
        std::mem::take(&mut self.lost)
    }

    /// The last temporary refusal since the last call. `TRYAGAIN` is returned only if a slot is stuck, because every moving
    /// slot causes some.
    pub fn take_passing(&mut self) -> Option<ServerError> {
        let goes_on = || self.slots.values().any(|queue| queue.failures() >= STUCK);
        self.passing.take_if(|error| error.code != ErrorCode::TryAgain || goes_on())
    }

    /// The nodes that have ceased to be primaries since the last call. If one failed, its replacement may lack settled
    /// writes, as the positions of its slots show.
    pub fn take_replaced(&mut self) -> BTreeSet<NodeId> {
        std::mem::take(&mut self.replaced)
    }

    /// The tags of the batches that are not settled, oldest first.
    pub fn tags(&self) -> impl Iterator<Item = &T> {
        self.ledger.tags()
    }

    /// The commands that are not settled. The commands of each slot come oldest first. Commands that were answered behind the
    /// refusals that were taken last are among them, because they may have used what was refused.
    pub fn in_flight(&self) -> impl Iterator<Item = EncodedCommand<'_>> {
        let [behind, told] = &self.behind_refusals;
        let answered = told.iter().chain(behind).flat_map(|commands| commands.iter());
        answered.chain(self.slots.values().flat_map(|queue| queue.commands()))
    }

    /// Whether another batch may be pushed.
    pub fn has_room(&self) -> bool {
        self.ledger.has_room()
    }

    /// Whether at least half of the limit is in flight or waiting.
    pub fn is_half_full(&self) -> bool {
        self.ledger.is_half_full()
    }

    /// Whether all batches are settled.
    pub fn is_empty(&self) -> bool {
        self.ledger.is_empty()
    }
}

/// Counts a command that was not simply carried out.
fn count(answer: &Result<Answer, WindowError>, tally: &mut Tally) {
    match answer {
        Ok(Answer::Taken) => {}
        Ok(Answer::Dropped(refusals)) => tally.refused += refusals.len() as u64,
        Ok(Answer::Passing(_, error)) => match Verdict::of(error) {
            Verdict::Moved(_) => tally.moved += 1,
            Verdict::Ask(_) => tally.ask += 1,
            Verdict::Later { .. } => tally.later += 1,
            Verdict::Refused | Verdict::Fatal => tally.refused += 1,
        },
        Err(_) => tally.refused += 1,
    }
}
