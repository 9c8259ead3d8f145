//! What is sent to one node, and which replies it owes.

use std::collections::VecDeque;

use bytes::BytesMut;
use redis_resp::{CommandBatch, ServerError};
use redis_slots::Slot;

use crate::cluster::piece::Piece;
use crate::refusal::Refusal;
use crate::tally::Tally;
use crate::window::WindowError;

/// ASKING on the wire.
const ASKING: &[u8] = b"*1\r\n$6\r\nASKING\r\n";

/// What a reply belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// An ASKING.
    Asking,
    /// A command of this slot.
    Command(Slot),
}

/// One connection to a node: the bytes to be written and the replies that are due. By default, it is not open.
#[derive(Debug, Default)]
pub(super) struct NodeLane {
    pub is_open: bool,
    /// Bytes that are not written yet.
    pub outgoing: BytesMut,
    /// One entry for each reply that is due, in order.
    expected: VecDeque<Expected>,
    /// On all connections to the node.
    pub tally: Tally,
}

impl NodeLane {
    /// Writes a piece of `slot`. ASKING holds for one command, or from MULTI to EXEC (server `networking.c`,
    /// `resetClient`). That is enough for every piece that needs it, because refused commands are resent one by one.
    pub(super) fn write(&mut self, slot: Slot, piece: &Piece, asking: bool) {
        if asking {
            self.outgoing.extend_from_slice(ASKING);
            self.expected.push_back(Expected::Asking);
        }
        self.outgoing.extend_from_slice(piece.commands.wire());
        self.expected.extend((0..piece.commands.len()).map(|_| Expected::Command(slot)));
    }

    /// What the next reply belongs to.
    pub(super) fn reply(&mut self) -> Option<Expected> {
        let expected = self.expected.pop_front();
        self.tally.answered += u64::from(matches!(expected, Some(Expected::Command(_))));
        expected
    }

    /// The connection broke: nothing more comes from it.
    pub(super) fn break_off(&mut self) {
        *self = Self { tally: self.tally, ..Self::default() };
    }

    /// How many replies are due.
    pub(super) fn due(&self) -> usize {
        self.expected.len()
    }

    pub(super) fn is_reply_due(&self) -> bool {
        !self.expected.is_empty()
    }

    pub(super) fn asking_refused(error: ServerError) -> WindowError {
        let mut asking = CommandBatch::default();
        asking.push(&[b"ASKING"]);
        WindowError::Refused(Box::new(Refusal::new(asking.take(), error)))
    }
}
