//! What is in flight to a cluster, and what waits. Pure: it takes replies and times, and gives bytes and tags back.

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
use crate::cluster::unit::{Lost, Memo, Unit};
use crate::cluster::verdict::Verdict;
use crate::refusal::Refusal;
use crate::window::{WindowError, WindowLimits};

/// How long a refusal that passes is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    /// The first time; twice as long every time that it is refused again.
    pub shortest: Duration,
    /// At most.
    pub longest: Duration,
}

impl Default for Pauses {
    /// From 5 ms, which is what a key takes to move, to a second.
    fn default() -> Self {
        Self { shortest: Duration::from_millis(5), longest: Duration::from_secs(1) }
    }
}

impl Pauses {
    /// The pause behind this many failures in a row.
    pub(super) fn behind(&self, failures: u32) -> Duration {
        let doubled = 1u32.checked_shl(failures.saturating_sub(1).min(20)).unwrap_or(1);
        self.shortest.saturating_mul(doubled).min(self.longest)
    }
}

/// How often in a row a slot is refused before that is more than a key on its way: some five seconds.
const STUCK: u32 = 12;

/// Batches of units in flight to the nodes of a cluster. `T` is what the caller gets back when a batch has settled.
///
/// Units of a slot are carried out in the order of their batches. Whoever drives it opens connections to the nodes that
/// are [`wanted`](Self::wanted), writes what is [`outgoing`](Self::outgoing), and gives in every reply.
#[derive(Debug)]
pub struct ClusterWindow<T> {
    pauses: Pauses,
    map: ClusterMap,
    ledger: Ledger<T>,
    slots: HashMap<Slot, Box<SlotQueue>, BuildHasherDefault<SlotHasher>>,
    /// Empty ones, whose allocations are used again; no more than there were slots at a time.
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
        }
    }

    /// The same, but with a memo about each command that is given up.
    #[must_use]
    pub fn with_memo(self, memo: Option<Memo>) -> Self {
        Self { memo, ..self }
    }

    /// Takes a batch. One without commands settles when everything before it has.
    pub fn push(&mut self, units: impl IntoIterator<Item = Unit>, tag: T) {
        let number = self.ledger.begin(tag);
        for unit in units.into_iter().filter(|unit| !unit.commands.is_empty()) {
            let piece = Piece::new(unit.commands, unit.form, number, Way::Owner);
            self.ledger.count(&piece);
            let spare = &mut self.spare;
            let queue = self.slots.entry(unit.slot).or_insert_with(|| spare.pop().unwrap_or_default());
            queue.push(piece);
            self.send(unit.slot);
        }
    }

    /// What is to be written to `node`; what was written is to be taken from its front.
    pub fn outgoing(&mut self, node: NodeId) -> &mut BytesMut {
        &mut self.lanes.entry(node).or_default().outgoing
    }

    /// Whether something was sent to `node` that has no reply.
    pub fn is_reply_due(&self, node: NodeId) -> bool {
        self.lanes.get(&node).is_some_and(NodeLane::is_reply_due)
    }

    /// Takes the next reply of `node`; it belongs to the oldest command there without one (P4).
    ///
    /// # Errors
    /// [`WindowError`]: a refusal that no other node and no later time mends. Its batch never settles.
    pub fn on_outcome(&mut self, node: NodeId, outcome: Outcome, now: Instant) -> Result<(), WindowError> {
        let expected = self.lanes.get_mut(&node).and_then(NodeLane::reply).ok_or(WindowError::Unasked)?;
        match (expected, outcome) {
            // What comes behind it is refused too, or answered MOVED.
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
        let is_answered = match queue.on_outcome(outcome)? {
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

    /// The piece of `slot` that is being answered was refused at `place`, in a way that passes; whether that was the last
    /// reply to it.
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

    /// Where what `node` refused goes; `None` if it has to wait.
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

    /// Goes on with a slot as far as its replies allow.
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
        let Resolved { sent, mut again, lost } = queue.resolve(slot);
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

    /// Sends what may be sent of `slot`, and forgets a slot of which there is nothing.
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

    /// Ends the pauses that are over at `now`; whether there was one.
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

    /// When [`Self::on_time`] has something to do.
    pub fn next_time(&self) -> Option<Instant> {
        self.paused.first().map(|(end, _)| *end)
    }

    /// A connection to `node` is open on which every request was answered.
    pub fn on_open(&mut self, node: NodeId) {
        self.lanes.entry(node).or_default().is_open = true;
        self.wanted.remove(&node);
        self.send_all();
    }

    /// The connection to `node` broke: what was sent there may have been carried out or not, until
    /// [`Self::on_positions`] tells.
    pub fn on_broken(&mut self, node: NodeId) {
        self.lanes.insert(node, NodeLane::default());
        self.slots.values_mut().for_each(|queue| queue.on_broken(node));
    }

    /// Whether something was sent to `node` of which it is not known whether it was carried out.
    pub fn is_in_doubt(&self, node: NodeId) -> bool {
        self.slots.values().any(|queue| queue.is_in_doubt_at(node))
    }

    /// The slots whose position tells what `node` has carried out.
    pub fn in_doubt(&self, node: NodeId) -> Vec<Slot> {
        let is_wanted = |queue: &SlotQueue| queue.is_in_doubt_at(node) && queue.is_position_wanted();
        self.slots.iter().filter(|(_, queue)| is_wanted(queue)).map(|(slot, _)| *slot).collect()
    }

    /// The broken connection to `node` can carry out nothing any more, and these are the positions that slots hold since
    /// then, 0 where none is given: transactions at or below were carried out, and the rest is sent again in order.
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

    /// Goes over to what `topology` tells, which was asked for at the host `asked`.
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

    /// Something hints at a topology that is not the one known here.
    pub fn on_stale(&mut self) {
        self.is_stale = true;
    }

    /// Whether the topology should be read anew.
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// The nodes for which something waits, and to which no connection is open.
    pub fn wanted(&self) -> impl Iterator<Item = NodeId> {
        self.wanted.iter().copied()
    }

    /// Nodes, and who owns which slot.
    pub fn map(&self) -> &ClusterMap {
        &self.map
    }

    /// The tag of the oldest batch, if all of it was carried out, but for what [`Self::take_refusals`] and
    /// [`Self::take_lost`] give: they are to be asked first. The order is that of [`Self::push`].
    pub fn settled(&mut self) -> Option<T> {
        self.ledger.settled()
    }

    /// Commands that were refused for themselves, since the last call. They are not retried; the other commands of their
    /// transactions were carried out.
    pub fn take_refusals(&mut self) -> Vec<Refusal> {
        let [behind, told] = &mut self.behind_refusals;
        *told = std::mem::take(behind);
        std::mem::take(&mut self.refusals)
    }

    /// Commands whose place in the order of their slot was lost, since the last call. They are not retried: what their keys
    /// should hold has to be found out in another way.
    pub fn take_lost(&mut self) -> Vec<Lost> {
        std::mem::take(&mut self.lost)
    }

    /// Why something waits that a node refused for now, since the last call; `TRYAGAIN`, which every slot on its way gives,
    /// only if that goes on.
    pub fn take_passing(&mut self) -> Option<ServerError> {
        let goes_on = || self.slots.values().any(|queue| queue.failures() >= STUCK);
        self.passing.take_if(|error| error.code != ErrorCode::TryAgain || goes_on())
    }

    /// The nodes that were primaries and are none any more, since the last call. If one failed, its replacement may lack
    /// what was settled, as the positions of its slots tell.
    pub fn take_replaced(&mut self) -> BTreeSet<NodeId> {
        std::mem::take(&mut self.replaced)
    }

    /// The tags of the batches that are not settled, the oldest first.
    pub fn tags(&self) -> impl Iterator<Item = &T> {
        self.ledger.tags()
    }

    /// The commands that are not settled; those of a slot the oldest first. What was answered behind the refusals that were
    /// taken last counts among them, for it may have used what was refused.
    pub fn in_flight(&self) -> impl Iterator<Item = EncodedCommand<'_>> {
        let [behind, told] = &self.behind_refusals;
        let answered = told.iter().chain(behind).flat_map(|commands| commands.iter());
        answered.chain(self.slots.values().flat_map(|queue| queue.commands()))
    }

    /// Whether another batch may be pushed.
    pub fn has_room(&self) -> bool {
        self.ledger.has_room()
    }

    /// Whether half of what may be in flight and waiting is.
    pub fn is_half_full(&self) -> bool {
        self.ledger.is_half_full()
    }

    /// Whether there is no batch that is not settled.
    pub fn is_empty(&self) -> bool {
        self.ledger.is_empty()
    }
}
