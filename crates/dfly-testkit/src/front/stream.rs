//! The bytes of one flow: what is to be sent, and what the replica may have seen of it.

use super::options::Mangle;
use super::origin::{FirstPart, SecondPart};
use crate::journal_walk::Mark;

/// The maximum number of bytes that are taken for one write.
const TAKE: usize = 64 << 10;

/// The stream after the reply to FLOW.
#[derive(Debug, Default)]
pub(crate) struct FlowStream {
    bytes: Vec<u8>,
    /// How many bytes belong before STARTSTABLE.
    pub(super) first_len: usize,
    pub(super) fullsync_end: usize,
    /// `None` until the second part has been added.
    pub(super) token_end: Option<usize>,
    pub(super) start_lsn: u64,
    marks: Vec<Mark>,
    /// How many bytes the writer has taken. The replica may have seen them.
    pub(super) taken: usize,
    /// How many bytes have been written to the socket.
    pub(super) written: usize,
    mangle: Option<Mangle>,
}

impl FlowStream {
    pub(super) fn new(mangle: Option<Mangle>) -> Self {
        Self { mangle, ..Self::default() }
    }

    pub(super) fn begin(&mut self, part: &FirstPart) {
        self.fullsync_end = self.append(&part.bytes, part.fullsync_end);
        self.first_len = self.bytes.len();
    }

    /// Appends to the first part, which is not complete yet.
    pub(crate) fn extend_first(&mut self, bytes: &[u8]) {
        self.append(bytes, 0);
        self.first_len = self.bytes.len();
    }

    pub(super) fn go_stable(&mut self, part: &SecondPart) {
        let base = self.bytes.len();
        self.token_end = Some(self.append(&part.bytes, part.token_end));
        self.start_lsn = part.start_lsn;
        // After changed bytes, the replica cannot find the original records.
        let limit = self.mangle.as_ref().filter(|m| m.offset >= base).map_or(usize::MAX, |m| m.offset);
        let marks = part.marks.iter().map(|mark| Mark { end: mark.end + base, ..*mark });
        self.marks.extend(marks.take_while(|mark| mark.end <= limit));
    }

    /// Appends one record to the journal.
    pub(crate) fn push_record(&mut self, bytes: &[u8], next_lsn: Option<u64>) {
        let end = self.append(bytes, bytes.len());
        self.marks.extend(next_lsn.map(|next_lsn| Mark { end, next_lsn }));
    }

    /// Appends `bytes`, and changes them if they contain the offset to mangle. Returns where the offset `inside` of them is
    /// now.
    fn append(&mut self, bytes: &[u8], inside: usize) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let plain_end = self.bytes.len();
        let Some(mangle) = &self.mangle else { return start + inside };
        if !(start..plain_end).contains(&mangle.offset) {
            return start + inside;
        }
        let removed_end = (mangle.offset + mangle.remove).min(plain_end);
        self.bytes.splice(mangle.offset..removed_end, mangle.insert.iter().copied());
        match mangle.offset < start + inside {
            true => (start + inside + self.bytes.len()).saturating_sub(plain_end),
            false => start + inside,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The next piece to write, up to offset `limit`. `None` if there is nothing to write now.
    pub(super) fn take(&mut self, limit: usize) -> Option<Vec<u8>> {
        let end = limit.min(self.bytes.len()).min(self.taken + TAKE);
        let piece = self.bytes.get(self.taken..end).filter(|piece| !piece.is_empty())?.to_vec();
        self.taken = end;
        Some(piece)
    }

    /// Where the first unacknowledged record ends, for a replica whose last ACK is `acked`.
    pub(super) fn paced_end(&self, acked: Option<u64>) -> usize {
        let Some(acked) = acked else { return self.token_end.unwrap_or_default() };
        self.marks.iter().find(|mark| mark.next_lsn > acked).map_or(self.bytes.len(), |mark| mark.end)
    }

    /// The highest LSN that the replica can have reached with the bytes that it may have seen.
    pub(super) fn reachable_lsn(&self) -> u64 {
        let seen = self.marks.partition_point(|mark| mark.end <= self.taken);
        seen.checked_sub(1).and_then(|last| self.marks.get(last)).map_or(self.start_lsn, |mark| mark.next_lsn)
    }

    /// The LSN after the last record of the stream.
    pub(super) fn final_lsn(&self) -> u64 {
        self.marks.last().map_or(self.start_lsn, |mark| mark.next_lsn)
    }
}
