//! The batches that are not settled, and their total size.

use std::collections::VecDeque;

use crate::cluster::piece::Piece;
use crate::window::WindowLimits;

/// Batches, oldest first, each with the number of its pieces that are not settled.
#[derive(Debug)]
pub(super) struct Ledger<T> {
    limits: WindowLimits,
    batches: VecDeque<Batch<T>>,
    /// The number of the oldest batch.
    first: usize,
    /// The commands of all pieces that are not settled; `bytes` is their size.
    commands: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Batch<T> {
    tag: T,
    /// How many pieces are not settled, and one more until the batch is complete.
    open: usize,
}

impl<T> Ledger<T> {
    pub(super) fn new(limits: WindowLimits) -> Self {
        Self { limits, batches: VecDeque::new(), first: 0, commands: 0, bytes: 0 }
    }

    /// Adds a batch, which is not complete, and returns its number.
    pub(super) fn begin(&mut self, tag: T) -> usize {
        self.batches.push_back(Batch { tag, open: 1 });
        self.first + self.batches.len() - 1
    }

    /// A batch is complete.
    pub(super) fn close(&mut self, number: usize) {
        if let Some(batch) = self.batches.get_mut(number - self.first) {
            batch.open -= 1;
        }
    }

    /// Adds a piece to the counts.
    pub(super) fn count(&mut self, piece: &Piece) {
        self.commands += piece.commands.len();
        self.bytes += piece.commands.wire().len();
        if let Some(batch) = self.batches.get_mut(piece.batch - self.first) {
            batch.open += 1;
        }
    }

    /// Removes a piece from the counts.
    pub(super) fn uncount(&mut self, piece: &Piece) {
        self.commands -= piece.commands.len();
        self.bytes -= piece.commands.wire().len();
        if let Some(batch) = self.batches.get_mut(piece.batch - self.first) {
            batch.open -= 1;
        }
    }

    /// The tag of the oldest batch, if all of its pieces are settled.
    pub(super) fn settled(&mut self) -> Option<T> {
        let batch = self.batches.pop_front_if(|batch| batch.open == 0)?;
        self.first += 1;
        Some(batch.tag)
    }

    pub(super) fn tags(&self) -> impl Iterator<Item = &T> {
        self.batches.iter().map(|batch| &batch.tag)
    }

    pub(super) fn has_room(&self) -> bool {
        self.limits.have_room(self.commands, self.bytes)
    }

    pub(super) fn is_half_full(&self) -> bool {
        self.limits.are_half_taken(self.commands, self.bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }
}
