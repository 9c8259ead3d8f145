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

/// Replies that are due one after the other.
#[derive(Debug)]
struct Due {
    expected: Expected,
    /// How many; never 0.
    count: usize,
}

/// One connection to a node: the bytes to be written and the replies that are due. By default, it is not open.
#[derive(Debug, Default)]
pub(super) struct NodeLane {
    pub is_open: bool,
    /// Bytes that are not written yet.
    pub outgoing: BytesMut,
    /// The replies that are due, in order.
    due: VecDeque<Due>,
    /// On all connections to the node.
    pub tally: Tally,
}

impl NodeLane {
    /// Writes a piece of `slot`. ASKING holds for one command, or from MULTI to EXEC (server `networking.c`,
    /// `resetClient`). That is enough for every piece that needs it, because refused commands are resent one by one.
    pub(super) fn write(&mut self, slot: Slot, piece: &Piece, asking: bool) {
        if asking {
            self.outgoing.extend_from_slice(ASKING);
            self.expect(Expected::Asking, 1);
        }
        self.outgoing.extend_from_slice(piece.commands.wire());
        self.expect(Expected::Command(slot), piece.commands.len());
    }

    fn expect(&mut self, expected: Expected, count: usize) {
        if count > 0 {
            self.due.push_back(Due { expected, count });
        }
    }

    /// What the next reply belongs to.
    pub(super) fn reply(&mut self) -> Option<Expected> {
        let next = self.due.front_mut()?;
        let expected = next.expected;
        next.count -= 1;
        if next.count == 0 {
            self.due.pop_front();
        }
        self.tally.answered += u64::from(matches!(expected, Expected::Command(_)));
        Some(expected)
    }

    /// The connection broke: nothing more comes from it.
    pub(super) fn break_off(&mut self) {
        *self = Self { tally: self.tally, ..Self::default() };
    }

    /// How many replies are due.
    pub(super) fn due(&self) -> usize {
        self.due.iter().map(|due| due.count).sum()
    }

    pub(super) fn is_reply_due(&self) -> bool {
        !self.due.is_empty()
    }

    pub(super) fn asking_refused(error: ServerError) -> WindowError {
        let mut asking = CommandBatch::default();
        asking.push(&[b"ASKING"]);
        WindowError::Refused(Box::new(Refusal::new(asking.take(), error)))
    }
}
