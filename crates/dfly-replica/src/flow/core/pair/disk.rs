//! A relay log in memory, which lasts from one session to the next.

use std::collections::VecDeque;

use dfly_journal::Lsn;
use relay_log::Frame;

use crate::flow::intake::relay::{RelayDone, RelayWork};

/// How many frames it holds.
const ROOM: usize = 12;

#[derive(Debug, Default)]
pub(super) struct Disk {
    frames: VecDeque<Frame>,
    /// How many of them were read.
    read: usize,
    pub written: u64,
    pub refused: u64,
}

impl Disk {
    pub(super) fn carry_out(&mut self, work: RelayWork) -> RelayDone {
        let mut done = RelayDone::default();
        if work.clears {
            (self.frames, self.read) = (VecDeque::new(), 0);
        }
        if let Some(durable) = work.release {
            self.release(durable);
        }
        match work.append {
            Some(frame) if self.frames.len() >= ROOM => {
                self.refused += 1;
                done.rejected = Some(frame);
            }
            Some(frame) if self.frames.back().is_some_and(|last| last.next != frame.first) => {
                panic!("a frame from {} behind one to {:?}", frame.first, self.frames.back());
            }
            Some(frame) => {
                self.written += 1;
                self.frames.push_back(frame);
            }
            None => {}
        }
        if work.reads {
            let next = self.frames.get(self.read).cloned();
            self.read += usize::from(next.is_some());
            done.frame = Some(next);
        }
        done.bytes = self.frames.iter().map(|frame| frame.body.len() as u64).sum();
        done
    }

    /// What lies before `durable` goes, read or not: the next frame is the first that ends behind it.
    fn release(&mut self, durable: Lsn) {
        let is_spent = |frame: &Frame| frame.next <= durable.0;
        while self.frames.front().is_some_and(is_spent) {
            self.frames.pop_front();
            self.read = self.read.saturating_sub(1);
        }
    }

    /// Another session begins, at `next`: the records that it holds from there on, if any.
    pub(super) fn reopen(&mut self, next: Lsn) -> Option<(Lsn, Lsn)> {
        self.read = 0;
        let (first, last) = (self.frames.front()?.first, self.frames.back()?.next);
        (first <= next.0 && next.0 < last).then_some((Lsn(first), Lsn(last)))
    }
}
