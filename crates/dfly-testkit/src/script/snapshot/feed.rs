//! The order of a shard's keys. The chunks of split keys are mixed with other keys, and several keys may be unfinished at
//! the same time.

use std::collections::VecDeque;

use super::{Baseline, Item, items_of};
use crate::script::model::At;
use crate::script::style::SnapshotStyle;

/// Keys that have not been written completely.
#[derive(Debug)]
pub(super) struct Feed {
    waiting: VecDeque<(At, VecDeque<Item>)>,
    open: VecDeque<(At, VecDeque<Item>)>,
    /// The maximum number of open keys.
    most: usize,
    /// Whether the next item should begin a key rather than continue one.
    begin: bool,
}

impl Feed {
    pub(super) fn new(style: &SnapshotStyle, baseline: Baseline) -> Self {
        let mut id = 0;
        let mut items = |(at, entry)| {
            let items: VecDeque<Item> = items_of(style, &mut id, (&at, &entry)).into();
            (at, items)
        };
        let waiting = baseline.into_iter().map(&mut items).filter(|(_, items)| !items.is_empty()).collect();
        Self { waiting, open: VecDeque::new(), most: style.open.max(1), begin: true }
    }

    /// How many items are left.
    pub(super) fn len(&self) -> usize {
        self.waiting.iter().chain(&self.open).map(|(_, items)| items.len()).sum()
    }

    /// The next item.
    pub(super) fn step(&mut self) -> Option<Item> {
        let begin = self.open.is_empty() || (self.begin && self.open.len() < self.most);
        let source = if begin && !self.waiting.is_empty() { &mut self.waiting } else { &mut self.open };
        let (at, mut items) = source.pop_front()?;
        self.begin = !begin;
        let item = items.pop_front();
        if !items.is_empty() {
            self.open.push_back((at, items));
        }
        item
    }

    /// All remaining items of a key.
    pub(super) fn complete(&mut self, key: &At) -> Vec<Item> {
        let mut left = Vec::new();
        for queue in [&mut self.open, &mut self.waiting] {
            if let Some(i) = queue.iter().position(|(at, _)| at == key) {
                left.extend(queue.remove(i).into_iter().flat_map(|(_, items)| items));
            }
        }
        left
    }
}
