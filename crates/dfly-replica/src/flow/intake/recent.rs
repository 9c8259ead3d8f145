//! The part of the journal that the target may lack although it was sent: bytes as they arrived, from the last record on whose
//! answer was heard. While the target says nothing, they go to the relay log, so that neither a crash nor a stop loses them.
//! Pure.

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};
use dfly_journal::{Lsn, encode};
use dfly_wire::{DbIndex, UnixMillis};
use relay_log::Frame;

/// Where decoding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The next record.
    pub next: Lsn,
    /// The database that it is carried out in.
    pub db: DbIndex,
}

/// A place, and the byte behind which it lies.
#[derive(Debug, Clone, Copy)]
struct Mark {
    place: Place,
    /// Bytes since the beginning of the journal.
    offset: u64,
}

/// Bytes of the journal that may be needed again.
#[derive(Debug)]
pub(crate) struct RecentJournal {
    /// What was decoded since the first mark, and behind it what the buffer holds.
    bytes: BytesMut,
    /// Where `bytes` begins.
    start: u64,
    marks: VecDeque<Mark>,
    /// How many bytes of the buffer stand in `bytes` already.
    copied: usize,
    /// The most that is kept, in bytes; 0: nothing ever is.
    most: usize,
    /// More than that has arrived at once.
    is_over: bool,
}

impl RecentJournal {
    /// Nothing yet, and never more than so many bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self { bytes: BytesMut::new(), start: 0, marks: VecDeque::new(), copied: 0, most, is_over: false }
    }

    /// Decoding goes on at `place`, with these bytes. What precedes `needless` is needed no more.
    pub(crate) fn before_decoding(&mut self, buffer: &[u8], place: Place, needless: Lsn) {
        if self.most == 0 || (self.is_over && buffer.len() > self.most / 2) {
            return;
        }
        self.is_over = false;
        self.forget(needless);
        let new = buffer.get(self.copied..).unwrap_or_default();
        if self.bytes.len() + new.len() > self.most {
            return self.give_up();
        }
        self.bytes.extend_from_slice(new);
        self.copied = buffer.len();
        if self.marks.back().is_none_or(|mark| mark.place.next < place.next) {
            self.marks.push_back(Mark { place, offset: self.decoded() });
        }
    }

    /// So many bytes of the buffer are left.
    pub(crate) fn after_decoding(&mut self, left: usize) {
        self.copied = left.min(self.copied);
    }

    /// Whether any record before `next` is kept.
    pub(crate) fn has_any(&self, next: Lsn) -> bool {
        self.marks.front().is_some_and(|mark| mark.place.next < next)
    }

    /// The first record that is kept.
    #[cfg(test)]
    fn first(&self) -> Option<Lsn> {
        self.marks.front().map(|mark| mark.place.next)
    }

    /// Everything that was decoded, as one frame of the relay log that ends before `next`, and is kept no more. `None`: there is
    /// no record.
    pub(crate) fn take_frame(&mut self, next: Lsn, now: UnixMillis) -> Option<Frame> {
        let first = self.marks.front().map(|mark| mark.place).filter(|first| first.next < next)?;
        let length = self.bytes.len().saturating_sub(self.copied);
        let mut body = Vec::with_capacity(length + 8);
        encode::select(first.db, &mut body);
        body.extend_from_slice(self.bytes.get(..length)?);
        self.clear();
        Some(Frame { first: first.next.0, next: next.0, db: DbIndex(0), received_at: now, body: body.into() })
    }

    /// What is kept is of no use any more.
    pub(crate) fn clear(&mut self) {
        self.start = 0;
        self.bytes.clear();
        self.marks.clear();
        self.copied = 0;
    }

    /// A single record may be larger than everything that is kept.
    fn give_up(&mut self) {
        self.clear();
        self.is_over = true;
    }

    /// How much was decoded since the beginning.
    fn decoded(&self) -> u64 {
        self.start + self.bytes.len() as u64 - self.copied as u64
    }

    fn forget(&mut self, needless: Lsn) {
        while let Some(second) = self.marks.get(1).copied().filter(|second| second.place.next <= needless) {
            self.marks.pop_front();
            let passed = usize::try_from(second.offset - self.start).unwrap_or(usize::MAX);
            self.bytes.advance(passed.min(self.bytes.len()));
            self.start = second.offset;
        }
    }
}

#[cfg(test)]
mod tests {
    use dfly_journal::{Args, Command, Decoder, Record, TxId};
    use dfly_wire::Step;

    use super::*;

    fn place(next: u64, db: u32) -> Place {
        Place { next: Lsn(next), db: DbIndex(db) }
    }

    fn set(lsn: u64, out: &mut Vec<u8>) {
        encode::command(TxId(0), &[b"SET", b"k", lsn.to_string().as_bytes()], out);
    }

    /// Feeds records as they would arrive, `at_once` bytes at a time, and decodes what is whole.
    fn feed(recent: &mut RecentJournal, wire: &[u8], at_once: usize, heard: impl Fn(Lsn) -> Lsn) -> Lsn {
        let (mut decoder, mut buffer) = (Decoder::stream(Lsn(10)), BytesMut::new());
        for piece in wire.chunks(at_once) {
            buffer.extend_from_slice(piece);
            let next = decoder.next_lsn().unwrap();
            recent.before_decoding(&buffer, Place { next, db: decoder.db() }, heard(next));
            while let Step::Ready(_) = decoder.decode(&mut buffer).unwrap() {}
            recent.after_decoding(buffer.len());
        }
        decoder.next_lsn().unwrap()
    }

    fn records(frame: Frame) -> Vec<(u64, Record)> {
        let mut decoder = Decoder::stream(Lsn(frame.first));
        let (mut body, mut found) = (BytesMut::from(frame.body), Vec::new());
        while let Step::Ready(record) = decoder.decode(&mut body).unwrap() {
            found.push((decoder.next_lsn().unwrap().0, record));
        }
        assert_eq!((body.len(), decoder.next_lsn()), (0, Some(Lsn(frame.next))));
        found
    }

    fn wire() -> Vec<u8> {
        let mut wire = Vec::new();
        for lsn in 10..40 {
            if lsn % 7 == 0 {
                encode::select(DbIndex(lsn / 7), &mut wire);
            }
            set(u64::from(lsn), &mut wire);
        }
        wire
    }

    /// However the bytes arrive, what is taken holds every record from the last one on that was heard, in its database.
    #[test]
    fn what_was_not_heard_comes_back() {
        let wire = wire();
        for at_once in 1..wire.len() {
            for behind in [0, 3, 8, 100] {
                let mut recent = RecentJournal::new(1 << 20);
                let heard = |next: Lsn| Lsn(next.0.saturating_sub(behind).max(10));
                let next = feed(&mut recent, &wire, at_once, heard);
                assert_eq!(next, Lsn(40));
                let first = recent.first().unwrap();
                assert!(first <= heard(next));
                let found = records(recent.take_frame(next, UnixMillis(7)).unwrap());
                let expected: Vec<_> = (first.0..40)
                    .map(|lsn| {
                        let args = Args::of(&["SET", "k", &lsn.to_string()]);
                        let db = if lsn < 14 { 0 } else { lsn / 7 };
                        let db = DbIndex(u32::try_from(db).unwrap());
                        (lsn + 1, Record::Command(Command { db, txid: TxId(0), args }))
                    })
                    .collect();
                assert_eq!(found, expected, "{at_once} {behind}");
            }
        }
    }

    #[test]
    fn what_is_heard_is_given_up() {
        let wire = wire().repeat(1);
        let mut recent = RecentJournal::new(1 << 20);
        feed(&mut recent, &wire, 20, |next| next);
        assert!(recent.bytes.len() <= 40 && recent.marks.len() <= 2, "{recent:?}");
    }

    /// More than the limit is never kept, and behind a record that is larger than it the next ones are kept again.
    #[test]
    fn never_more_than_the_limit() {
        let mut wire = wire();
        encode::command(TxId(0), &[b"SET", b"large", &[b'x'; 500]], &mut wire);
        set(41, &mut wire);
        let mut recent = RecentJournal::new(200);
        let next = feed(&mut recent, &wire, 50, |_| Lsn(10));
        assert!(recent.bytes.len() <= 200);
        let first = recent.first().unwrap();
        assert!(first > Lsn(10));
        let frame = recent.take_frame(next, UnixMillis(0)).unwrap();
        assert_eq!(records(frame).len() as u64, next.0 - first.0);
        assert!(recent.first().is_none());
    }

    #[test]
    fn nothing_is_kept_without_room() {
        let mut recent = RecentJournal::new(0);
        recent.before_decoding(b"xyz", place(1, 0), Lsn(1));
        assert!(recent.first().is_none() && recent.take_frame(Lsn(5), UnixMillis(0)).is_none());
    }
}
