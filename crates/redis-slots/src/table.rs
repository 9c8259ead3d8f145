//! Slot ownership, as a table.

use std::fmt;

use crate::owners::SlotOwners;
use crate::slot::{SLOTS, Slot};

/// The owner of every slot, as a number that the caller assigns. It takes 32 KiB, covers all slots, and is updated slot by
/// slot.
#[derive(Clone, PartialEq, Eq)]
pub struct SlotTable {
    /// The owner of each slot.
    nodes: Box<[u16]>,
}

impl SlotTable {
    /// A table of the owners in `owners`.
    ///
    /// # Errors
    /// The first slot without an owner.
    pub fn new(owners: &SlotOwners<u16>) -> Result<Self, Slot> {
        let owner = |slot| owners.owner(Slot(slot)).copied().ok_or(Slot(slot));
        Ok(Self { nodes: (0..SLOTS).map(owner).collect::<Result<_, _>>()? })
    }

    /// The owner of `slot`; `None` if there is no such slot.
    #[inline]
    pub fn owner(&self, slot: Slot) -> Option<u16> {
        self.nodes.get(usize::from(slot.0)).copied()
    }

    /// Makes `node` the owner of `slot`.
    pub fn set(&mut self, slot: Slot, node: u16) {
        if let Some(owner) = self.nodes.get_mut(usize::from(slot.0)) {
            *owner = node;
        }
    }
}

impl fmt::Debug for SlotTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut runs = f.debug_list();
        let mut start = 0;
        for run in self.nodes.chunk_by(|a, b| a == b) {
            let end = start + run.len();
            runs.entry(&format_args!("{start}..{end}: {}", run.first().copied().unwrap_or_default()));
            start = end;
        }
        runs.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_complete() {
        let mut owners: SlotOwners<u16> = [(0..=99, 7), (101..=16383, 8)].into_iter().collect();
        assert_eq!(SlotTable::new(&owners), Err(Slot(100)));
        owners.insert(100..=100, 9).unwrap();
        let mut table = SlotTable::new(&owners).unwrap();
        for slot in 0..SLOTS {
            assert_eq!(table.owner(Slot(slot)).as_ref(), owners.owner(Slot(slot)));
        }
        table.set(Slot(99), 8);
        assert_eq!(table.owner(Slot(99)), Some(8));
        assert_eq!(table.owner(Slot(SLOTS)), None);
        assert_eq!(format!("{table:?}"), "[0..99: 7, 99..100: 8, 100..101: 9, 101..16384: 8]");
    }
}
