//! The order within a slot: what was sent, what waits, and what is resent.

use std::collections::VecDeque;
use std::hash::Hasher;

use redis_resp::{CommandBatch, EncodedCommand, Outcome, ServerError};
use redis_slots::Slot;

use crate::cluster::map::NodeId;
use crate::cluster::piece::{Answer, Fate, Piece, Way};
use crate::cluster::split::Split;
use crate::cluster::unit::{Form, Lost};
use crate::cluster::verdict::FREE_REDIRECTS;
use crate::window::WindowError;

/// Which node the sent pieces went to, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route {
    pub node: NodeId,
    /// Whether each command or transaction follows an ASKING.
    pub asking: bool,
}

/// The pieces of one slot, oldest first.
///
/// All pieces that are sent went to one node on one connection, so they are carried out in order. A transaction is sent alone,
/// because the position that it writes states that everything before it in the slot has been carried out.
#[derive(Debug, Default)]
pub(super) struct SlotQueue {
    pieces: VecDeque<Piece>,
    /// How many pieces are sent. The others wait.
    sent: usize,
    /// The index of the first piece that is sent and lacks a reply. Every piece before it has all of its replies.
    replying: usize,
    route: Option<Route>,
    /// Something that was sent was refused, or it is not known whether it was carried out.
    is_held: bool,
    /// The node that it went to, if the connection broke.
    doubt: Option<NodeId>,
    /// Nothing is sent until a pause has ended.
    is_paused: bool,
    /// Refused commands are to be resent after a pause.
    must_pause: bool,
    /// How many times in a row what was sent had to be resolved.
    taken_apart: u32,
}

/// Hashes slots. They are already spread by a checksum, so no protection against chosen keys is needed.
#[derive(Debug, Default)]
pub(super) struct SlotHasher(u64);

impl Hasher for SlotHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u16(u16::from(*byte)));
    }

    fn write_u16(&mut self, slot: u16) {
        // The map chooses an entry's place by the lower bits and distinguishes entries by the upper bits.
        self.0 = (self.0 ^ u64::from(slot)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
}

/// The result of resolving what was sent: what is resent and what is lost.
#[derive(Debug)]
pub(super) struct Resolved {
    /// Everything that was sent.
    pub sent: VecDeque<Piece>,
    /// What is to be resent, in order.
    pub again: Vec<Piece>,
    pub lost: Vec<Lost>,
}

impl SlotQueue {
    pub(super) fn push(&mut self, piece: Piece) {
        self.pieces.push_back(piece);
    }

    /// Puts pieces before those that are waiting.
    pub(super) fn put_back(&mut self, pieces: Vec<Piece>) {
        for piece in pieces.into_iter().rev() {
            self.pieces.insert(self.sent, piece);
        }
    }

    /// Where the next piece goes, if one may be sent now.
    pub(super) fn next(&self, owner: NodeId) -> Option<Route> {
        let piece = self.pieces.get(self.sent).filter(|_| !self.is_held && !self.is_paused)?;
        let route = match piece.way {
            Way::Owner => Route { node: owner, asking: false },
            Way::Ask(node) => Route { node, asking: true },
        };
        let Some(last) = self.sent.checked_sub(1) else { return Some(route) };
        let may_join = !piece.is_transaction()
            && self.route == Some(route)
            && !self.pieces.get(last).is_some_and(Piece::is_transaction);
        may_join.then_some(route)
    }

    /// Counts the next piece as sent.
    pub(super) fn send(&mut self, route: Route) -> Option<&Piece> {
        let piece = self.pieces.get(self.sent)?;
        self.route = Some(route);
        self.sent += 1;
        Some(piece)
    }

    /// Takes the next reply, which belongs to the oldest command without one.
    pub(super) fn on_outcome(&mut self, outcome: Outcome) -> Result<Answer, WindowError> {
        self.answering_mut().ok_or(WindowError::Unasked)?.on_outcome(outcome)
    }

    /// The piece that the next reply belongs to.
    fn answering(&self) -> Option<&Piece> {
        self.pieces.get(self.replying).filter(|_| self.replying < self.sent)
    }

    fn answering_mut(&mut self) -> Option<&mut Piece> {
        self.pieces.get_mut(self.replying).filter(|_| self.replying < self.sent)
    }

    /// A piece with the commands of `about`, if there are any. It belongs to the same batch as the piece that is being
    /// answered.
    pub(super) fn note(&self, about: &mut CommandBatch) -> Vec<Piece> {
        self.answering().and_then(|piece| Piece::plain(about, piece.batch)).into_iter().collect()
    }

    /// The commands of all pieces, oldest first.
    pub(super) fn commands(&self) -> impl Iterator<Item = EncodedCommand<'_>> {
        self.pieces.iter().flat_map(|piece| piece.commands.iter())
    }

    /// Records that the command just refused at `place` is to be resent: this `way`, or after a pause if there is none.
    pub(super) fn send_again(&mut self, place: usize, way: Option<Way>) {
        self.is_held = true;
        self.must_pause |= way.is_none();
        if let Some(piece) = self.answering_mut() {
            piece.send_again(place, way.unwrap_or(Way::Owner));
        }
    }

    /// The error for a command at `place` that was just refused because its keys belong to another slot.
    pub(super) fn misplaced(&self, place: usize, error: ServerError) -> WindowError {
        self.answering().map_or(WindowError::Unasked, |piece| piece.fatal(place, error))
    }

    /// Whether that was the last reply to a piece. If so, the next reply belongs to the next piece.
    pub(super) fn is_piece_answered(&mut self) -> bool {
        let is_answered = self.answering().is_some_and(Piece::is_answered);
        self.replying += usize::from(is_answered);
        is_answered
    }

    /// The oldest piece, if it has all of its replies and nothing of it is resent.
    pub(super) fn settled(&mut self) -> Option<Piece> {
        let left = self.sent.checked_sub(1)?;
        let piece = self.pieces.pop_front_if(|piece| piece.is_answered() && !piece.is_refused())?;
        self.sent = left;
        self.replying = self.replying.saturating_sub(1);
        self.taken_apart = 0;
        Some(piece)
    }

    /// Whether something is to be resent, and everything that was sent has its reply.
    pub(super) fn is_resolvable(&self) -> bool {
        self.is_held && self.doubt.is_none() && self.replying == self.sent
    }

    /// The connection to `node` broke: what was sent there is in doubt.
    pub(super) fn on_broken(&mut self, node: NodeId) {
        if self.sent > 0 && self.route.is_some_and(|route| route.node == node) {
            (self.is_held, self.doubt) = (true, Some(node));
        }
    }

    pub(super) fn is_in_doubt_at(&self, node: NodeId) -> bool {
        self.doubt == Some(node)
    }

    /// Whether only the slot's position can tell what has been carried out.
    pub(super) fn is_position_wanted(&self) -> bool {
        self.pieces.iter().take(self.sent).any(Piece::is_transaction)
    }

    /// Removes and returns the pieces that have been carried out, given that the slot holds `position`.
    pub(super) fn on_position(&mut self, position: u64) -> Vec<Piece> {
        let is_done =
            |piece: &Piece| matches!(piece.form, Form::Transaction { position: own } if own <= position);
        let done = self.pieces.range(..self.sent).rposition(is_done).map_or(0, |last| last + 1);
        self.doubt = None;
        self.sent -= done;
        self.replying = self.replying.saturating_sub(done);
        self.pieces.drain(..done).collect()
    }

    /// Resolves what was sent. Refused commands and commands without a reply are resent. But if a command after the first
    /// refused one was carried out, or may have been, the order is lost from the refused one on.
    pub(super) fn resolve(&mut self, slot: Slot, split: Option<&Split>) -> Resolved {
        let sent: VecDeque<Piece> = self.pieces.drain(..self.sent).collect();
        (self.sent, self.replying, self.route, self.is_held) = (0, 0, None, false);
        let (again, lost) = match overtaken(&sent) {
            Some(first) => (left_before(&sent, first, split), lost_from(&sent, first, slot)),
            None => (left_before(&sent, (sent.len(), 0), split), Vec::new()),
        };
        Resolved { sent, again, lost }
    }

    /// Redirects waiting pieces to the slot's owner if they would go by ASK to a node for which `is_gone` holds.
    pub(super) fn forget_ask(&mut self, is_gone: impl Fn(NodeId) -> bool) {
        for piece in self.pieces.range_mut(self.sent..) {
            if let Way::Ask(node) = piece.way
                && is_gone(node)
            {
                piece.way = Way::Owner;
            }
        }
    }

    /// Call this after [`Self::resolve`]. Pauses the slot if necessary, and then returns how many times in a row it was
    /// resolved.
    pub(super) fn pause(&mut self) -> Option<u32> {
        self.taken_apart = self.taken_apart.saturating_add(1);
        self.is_paused = std::mem::take(&mut self.must_pause) || self.taken_apart > FREE_REDIRECTS;
        self.is_paused.then_some(self.taken_apart)
    }

    /// How many times in a row what was sent had to be resolved.
    pub(super) fn failures(&self) -> u32 {
        self.taken_apart
    }

    pub(super) fn on_pause_end(&mut self) {
        self.is_paused = false;
    }

    /// Prepares an empty queue for use by another slot.
    pub(super) fn clear(&mut self) {
        let mut pieces = std::mem::take(&mut self.pieces);
        pieces.clear();
        *self = Self { pieces, ..Self::default() };
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.sent < self.pieces.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

/// The index of a piece, and the index of a command in it.
type Spot = (usize, usize);

fn fates(sent: &VecDeque<Piece>) -> impl Iterator<Item = (Spot, Fate)> {
    let numbered = sent.iter().enumerate();
    numbered.flat_map(|(number, piece)| piece.fates().map(move |(place, fate)| ((number, place), fate)))
}

/// The first refused command, if a later command was, or may have been, carried out.
fn overtaken(sent: &VecDeque<Piece>) -> Option<Spot> {
    let mut behind = fates(sent).skip_while(|(_, fate)| !matches!(fate, Fate::Again(_)));
    let (first, _) = behind.next()?;
    behind.any(|(_, fate)| matches!(fate, Fate::Done | Fate::Unknown)).then_some(first)
}

/// What is to be resent of the commands before `end`. Refused commands are taken apart.
fn left_before(sent: &VecDeque<Piece>, end: Spot, split: Option<&Split>) -> Vec<Piece> {
    let mut again = Vec::new();
    for (number, piece) in sent.iter().enumerate() {
        for (place, fate) in piece.fates().take_while(|(place, _)| (number, *place) < end) {
            match fate {
                Fate::Done | Fate::Dropped => {}
                Fate::Again(way) => again.extend(piece.parts(place, way, split)),
                // Replies come in order, so no later command of the piece has one.
                Fate::Unknown => {
                    again.push(piece.rest(place));
                    break;
                }
            }
        }
    }
    again
}

/// The commands whose order is lost: all from `first` on, except those that have been reported to the caller.
fn lost_from(sent: &VecDeque<Piece>, first: Spot, slot: Slot) -> Vec<Lost> {
    let is_lost = |(spot, fate): &(Spot, Fate)| *spot >= first && *fate != Fate::Dropped;
    let command = |(number, place): Spot| sent.get(number).map(|piece| piece.commands.part(place, 1));
    fates(sent)
        .filter(is_lost)
        .filter_map(|(spot, _)| command(spot))
        .map(|command| Lost { slot, command })
        .collect()
}
