//! The journal that the target is too slow for goes to disk, so that the source is never held up in stable sync (P26). While
//! the relay log is in use, records are applied from it, in order; what was received last stands at its end. Pure: this part
//! says what is to be written and read ([`RelayWork`]), one order at a time, and takes what came of it ([`RelayDone`]).

use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use dfly_journal::{Command, Decoder, Lsn, Record, encode};
use dfly_wire::{DbIndex, Limits, Step, UnixMillis};
use relay_log::Frame;
use tracing::{info, warn};

use super::error_line;
use super::snapshot::Stage;
use crate::error::FlowError;
use crate::memory_budget::of_journal;

/// How often what was written is made safe from a crash of the machine.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// What is to be done with the log, in this order.
#[derive(Debug, Default)]
pub(crate) struct RelayWork {
    /// Whatever it holds is given up first.
    pub clears: bool,
    /// What is to be appended.
    pub append: Option<Frame>,
    /// Everything is to be safe from a crash of the machine.
    pub syncs: bool,
    /// What lies before this is given up, if the log holds it.
    pub release: Option<Lsn>,
    /// The next frame is to be read.
    pub reads: bool,
}

/// What came of an order.
#[derive(Debug, Default)]
pub(crate) struct RelayDone {
    /// A frame that the log did not take, because it is full or has failed.
    pub rejected: Option<Frame>,
    /// The next frame, if one was to be read; the inner `None`: all frames are read.
    pub frame: Option<Option<Frame>>,
    /// Bytes of the log.
    pub bytes: u64,
    /// Why the log cannot be written any more.
    pub failure: Option<String>,
}

/// Whether a flow has a relay log, and what it is doing.
#[derive(Debug, Default)]
enum Mode {
    #[default]
    Absent,
    /// Records are applied as they arrive. The log may still hold some that the target has not answered.
    Idle,
    /// Records are applied from the log.
    Active(Box<Active>),
}

#[derive(Debug)]
struct Active {
    decoder: Decoder,
    limits: Limits,
    /// What is left of the frame that is being applied.
    body: BytesMut,
    received_at: UnixMillis,
    /// The frame behind it, read ahead.
    ahead: Option<Frame>,
    /// The log may hold frames that were not read.
    has_unread: bool,
}

/// The frame that is to be appended next.
#[derive(Debug, Default)]
enum Pending {
    #[default]
    Nothing,
    Offered(Frame),
    /// It is being written, or refused: until that is known no other may take its place.
    InHand,
    /// The log did not take it: it is offered again, or applied from memory once the log is read.
    Rejected(Frame),
}

impl Pending {
    fn take(&mut self) -> Option<Frame> {
        match std::mem::take(self) {
            Self::Nothing | Self::InHand => None,
            Self::Offered(frame) | Self::Rejected(frame) => Some(frame),
        }
    }
}

/// What was told of the log. What merely waits for an answer is not worth a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Told {
    #[default]
    Nothing,
    /// The target is behind.
    Behind,
}

/// One flow's relay log, as far as it is decided about without a disk.
#[derive(Debug)]
pub(crate) struct Relay {
    mode: Mode,
    pending: Pending,
    has_failed: bool,
    is_busy: bool,
    clears: bool,
    sync_at: Option<Instant>,
    released: Lsn,
    /// The record behind the last one that the log holds, if it holds any.
    end: Option<Lsn>,
    /// The record behind the frame that is being appended.
    appending: Lsn,
    told: Told,
    bytes: u64,
}

impl Relay {
    /// A flow without a log, or with an empty one.
    pub(crate) fn new(has_log: bool) -> Self {
        Self {
            mode: if has_log { Mode::Idle } else { Mode::Absent },
            pending: Pending::Nothing,
            has_failed: false,
            is_busy: false,
            clears: false,
            sync_at: None,
            released: Lsn(0),
            end: None,
            appending: Lsn(0),
            told: Told::Nothing,
            bytes: 0,
        }
    }

    /// A flow whose log holds these records, left by a run or a session before.
    pub(crate) fn resumed(held: Range<Lsn>, limits: Limits, now: UnixMillis) -> Self {
        let active = Active { has_unread: true, ..Active::at(held.start, limits, now) };
        Self { mode: Mode::Active(Box::new(active)), end: Some(held.end), ..Self::new(true) }
    }

    /// The record behind the last one that the log holds, if it holds any.
    pub(crate) fn end(&self) -> Option<Lsn> {
        self.end
    }

    /// Whether records come from the log.
    #[inline]
    pub(crate) fn is_active(&self) -> bool {
        matches!(self.mode, Mode::Active(_))
    }

    /// Whether the log takes what arrives.
    pub(crate) fn takes_arrivals(&self) -> bool {
        self.is_active() && !self.has_failed
    }

    /// Whether the log could be used, and is not.
    pub(crate) fn is_available(&self) -> bool {
        matches!(self.mode, Mode::Idle) && !self.has_failed
    }

    /// When the record that is applied next was received; `None` if it is not here yet.
    pub(crate) fn time_of_next(&self) -> Option<UnixMillis> {
        match &self.mode {
            Mode::Active(active) => Some(active.received_at),
            Mode::Absent | Mode::Idle => None,
        }
    }

    /// Bytes of the journal on disk that wait for the target.
    pub(crate) fn bytes(&self) -> u64 {
        if self.is_active() || self.end.is_some() { self.bytes } else { 0 }
    }

    /// From `next` on, records go through the log. What it holds was read, and stays if `next` follows it.
    pub(crate) fn begin(&mut self, next: Lsn, limits: Limits, now: UnixMillis) {
        self.mode = Mode::Active(Box::new(Active::at(next, limits, now)));
        if self.end != Some(next) {
            self.begin_anew();
        }
    }

    /// Tells, once, that the target is behind; and later, that it is not any more.
    pub(crate) fn tell(&mut self) {
        info!("the target is behind the source: the journal goes to disk meanwhile");
        self.told = Told::Behind;
    }

    fn begin_anew(&mut self) {
        (self.clears, self.released, self.end) = (true, Lsn(0), None);
    }

    /// Whether another frame may be made of what has arrived.
    pub(crate) fn has_room(&self) -> bool {
        matches!(self.pending, Pending::Nothing)
    }

    /// A frame of what has arrived.
    pub(crate) fn push(&mut self, frame: Frame) {
        self.pending = Pending::Offered(frame);
    }

    /// Whether the log takes no more before something of it is given up.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self.pending, Pending::Rejected(_)) && !self.has_failed && self.is_active()
    }

    /// Whether all that was given is written, as far as it can be.
    pub(crate) fn is_at_rest(&self) -> bool {
        let is_offered = matches!(self.pending, Pending::Offered(_)) && !self.has_failed;
        !self.is_busy && !is_offered && self.sync_at.is_none()
    }

    /// Everything is to be safe as soon as possible.
    pub(crate) fn sync_now(&mut self, now: Instant) {
        if (self.is_active() || self.end.is_some()) && !self.has_failed {
            self.sync_at = Some(now);
        }
    }

    /// What waits to be made safe is made safe at once.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.sync_at = self.sync_at.map(|_| now);
    }

    /// When there is work without an event.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.sync_at.filter(|_| !self.is_busy)
    }

    /// What is to be done next, if anything is; only one order is carried out at a time.
    /// What precedes `needless` may be given up.
    pub(crate) fn work(&mut self, needless: Option<Lsn>, now: Instant) -> Option<RelayWork> {
        if self.is_busy {
            return None;
        }
        let syncs = !self.has_failed && self.sync_at.is_some_and(|at| at <= now);
        if !self.is_active() {
            return self.idle_work(needless, syncs);
        }
        let release = needless.filter(|needless| *needless > self.released);
        // A log that is full takes no more before something of it is given up.
        let is_worth_it =
            !self.has_failed && (!matches!(self.pending, Pending::Rejected(_)) || release.is_some());
        let append = if is_worth_it { self.pending.take() } else { None };
        let Mode::Active(active) = &mut self.mode else { return None };
        if let Some(frame) = &append {
            (self.pending, active.has_unread) = (Pending::InHand, true);
            self.appending = Lsn(frame.next);
        }
        let reads = active.has_unread && active.ahead.is_none();
        if append.is_none() && !syncs && !reads {
            return None;
        }
        if append.is_some() && self.sync_at.is_none() {
            self.sync_at = Some(now + SYNC_EVERY);
        }
        if syncs {
            self.sync_at = None;
        }
        self.is_busy = true;
        self.released = release.unwrap_or(self.released);
        Some(RelayWork { clears: std::mem::take(&mut self.clears), append, syncs, release, reads })
    }

    /// What was read stays until it is needless.
    fn idle_work(&mut self, needless: Option<Lsn>, syncs: bool) -> Option<RelayWork> {
        let clears = self.end.is_some_and(|end| needless.is_some_and(|needless| end <= needless));
        if clears {
            self.begin_anew();
            (self.clears, self.sync_at) = (false, None);
        } else if syncs {
            self.sync_at = None;
        } else {
            return None;
        }
        self.is_busy = true;
        Some(RelayWork { clears, syncs: syncs && !clears, ..RelayWork::default() })
    }

    /// An order was carried out.
    pub(crate) fn done(&mut self, done: RelayDone) {
        (self.is_busy, self.bytes) = (false, done.bytes);
        if let Pending::InHand = self.pending {
            self.pending = Pending::Nothing;
            if done.rejected.is_none() {
                self.end = Some(self.appending);
            }
        }
        if let Some(reason) = done.failure.filter(|_| !self.has_failed) {
            warn!(
                reason,
                "the relay log cannot be written; the source is read only as fast as the target takes"
            );
            (self.has_failed, self.sync_at) = (true, None);
        }
        if let Some(frame) = done.rejected {
            self.pending = Pending::Rejected(frame);
        }
        if let (Mode::Active(active), Some(frame)) = (&mut self.mode, done.frame) {
            // A frame that is appended from now on is unread again.
            active.has_unread = frame.is_some();
            active.ahead = frame;
        }
    }

    /// The next record of the log, with the position behind it and when it was received.
    ///
    /// # Errors
    /// [`FlowError::Journal`], if the log holds something else than it was given.
    pub(crate) fn decode(&mut self) -> Result<Relayed, FlowError> {
        let Mode::Active(active) = &mut self.mode else { return Ok(Relayed::Ended) };
        let decoded = active.decoder.decode(&mut active.body);
        match decoded.map_err(|error| of_journal(error, &active.body))? {
            Step::Ready(record) => Ok(Relayed::Record(record, active.decoder.next_lsn(), active.received_at)),
            Step::Need(_) => Ok(self.next_frame()),
        }
    }

    fn next_frame(&mut self) -> Relayed {
        let Mode::Active(active) = &mut self.mode else { return Relayed::Ended };
        if let Some(frame) = active.ahead.take() {
            active.turn_to(frame);
            return Relayed::Frame;
        }
        if active.has_unread || self.is_busy {
            return Relayed::Waits;
        }
        // The log holds nothing more: what it did not take comes next, and then the log begins anew behind it.
        match self.pending.take() {
            Some(frame) => {
                active.turn_to(frame);
                self.begin_anew();
                Relayed::Frame
            }
            None => {
                self.mode = Mode::Idle;
                if std::mem::take(&mut self.told) == Told::Behind {
                    info!("the target has caught up");
                }
                Relayed::Ended
            }
        }
    }
}

/// What the log gives.
#[derive(Debug)]
pub(crate) enum Relayed {
    /// A record, the position behind it, and when it was received.
    Record(Record, Option<Lsn>, UnixMillis),
    /// Another frame was begun.
    Frame,
    /// The disk has to answer first.
    Waits,
    /// All is applied: from here on records are applied as they arrive.
    Ended,
}

impl Active {
    fn at(next: Lsn, limits: Limits, now: UnixMillis) -> Self {
        let decoder = Decoder::stream(next).with_limits(limits);
        Self { decoder, limits, body: BytesMut::new(), received_at: now, ahead: None, has_unread: false }
    }

    /// Frames that the target holds may have been given up unread: a frame says itself where it begins.
    fn turn_to(&mut self, frame: Frame) {
        let first = Lsn(frame.first);
        if self.decoder.next_lsn() != Some(first) {
            self.decoder = Decoder::stream(first).with_limits(self.limits);
        }
        (self.body, self.received_at) = (BytesMut::from(frame.body), frame.received_at);
    }
}

/// How many bytes more are needed before the next record is whole.
pub(crate) type Missing = std::num::NonZeroUsize;

/// Whole records that have arrived, up to `size` bytes; and what is missing of the next one, if the buffer holds a part of
/// it.
pub(crate) fn frame_of(
    stage: &mut Stage,
    buffer: &mut BytesMut,
    size: usize,
    now: UnixMillis,
) -> Result<(Option<Frame>, Option<Missing>), FlowError> {
    let Stage::Journal(journal) = stage else { return Ok((None, None)) };
    let first = journal.next_lsn().unwrap_or_default();
    let (mut body, mut db, mut missing) = (Vec::new(), None, None);
    while body.len() < size {
        match journal.decode(buffer) {
            Ok(Step::Ready(record)) => encode_record(&record, &mut db, &mut body),
            Ok(Step::Need(n)) => {
                missing = Some(n);
                break;
            }
            // What came before it is kept first; the next call finds it again.
            Err(_) if !body.is_empty() => break,
            Err(error) => return Err(error_line(of_journal(error, buffer), buffer)),
        }
    }
    let next = journal.next_lsn().unwrap_or_default();
    let frame = Frame { first: first.0, next: next.0, db: DbIndex(0), received_at: now, body: body.into() };
    Ok(((next > first).then_some(frame), missing))
}

/// A record in the journal's own form, behind a SELECT if its database is another than that before it.
fn encode_record(record: &Record, db: &mut Option<DbIndex>, body: &mut Vec<u8>) {
    match record {
        Record::Command(Command { db: selected, txid, args }) => {
            if *db != Some(*selected) {
                encode::select(*selected, body);
                *db = Some(*selected);
            }
            let words: Vec<&[u8]> = args.iter().collect();
            encode::command(*txid, &words, body);
        }
        // The end of an old master's transaction changes nothing, but counts as a record, as a PING does.
        Record::Ping | Record::Exec(_) => encode::ping(body),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use dfly_journal::{Args, TxId};

    use super::*;

    fn frame(first: u64, next: u64) -> Frame {
        let mut body = Vec::new();
        encode::select(DbIndex(0), &mut body);
        for lsn in first..next {
            encode::command(TxId(0), &[b"SET", b"k", lsn.to_string().as_bytes()], &mut body);
        }
        Frame { first, next, db: DbIndex(0), received_at: UnixMillis(7), body: body.into() }
    }

    /// A log on a disk that takes `room` frames.
    #[derive(Default)]
    struct Disk {
        frames: VecDeque<Frame>,
        room: usize,
    }

    impl Disk {
        fn carry_out(&mut self, work: RelayWork) -> RelayDone {
            let mut done = RelayDone::default();
            if work.clears {
                self.frames.clear();
            }
            match work.append {
                Some(frame) if self.frames.len() >= self.room => done.rejected = Some(frame),
                Some(frame) => self.frames.push_back(frame),
                None => {}
            }
            done.frame = work.reads.then(|| self.frames.pop_front());
            done
        }
    }

    fn drain(relay: &mut Relay, disk: &mut Disk, now: Instant) -> Vec<u64> {
        let mut applied = Vec::new();
        loop {
            match relay.decode().unwrap() {
                Relayed::Record(_, next, _) => applied.push(next.unwrap().0),
                Relayed::Frame => {}
                Relayed::Waits => {
                    let work = relay.work(None, now).expect("whoever waits has given an order");
                    relay.done(disk.carry_out(work));
                }
                Relayed::Ended => return applied,
            }
        }
    }

    #[test]
    fn records_come_back_in_their_order_and_then_the_log_is_idle() {
        let now = Instant::now();
        let (mut relay, mut disk) = (Relay::new(true), Disk { room: 9, ..Disk::default() });
        relay.begin(Lsn(5), Limits::default(), UnixMillis(0));
        for (first, next) in [(5, 8), (8, 9)] {
            assert!(relay.has_room());
            relay.push(frame(first, next));
            let work = relay.work(None, now).unwrap();
            assert_eq!((work.clears, work.append.is_some()), (first == 5, true));
            assert!(relay.work(None, now).is_none(), "one order at a time");
            relay.done(disk.carry_out(work));
        }
        assert!(relay.deadline().is_some_and(|at| at == now + SYNC_EVERY));
        assert_eq!(drain(&mut relay, &mut disk, now), [6, 7, 8, 9]);
        assert!(!relay.is_active() && relay.is_available());
        assert_eq!(
            (relay.end(), relay.deadline()),
            (Some(Lsn(9)), Some(now + SYNC_EVERY)),
            "until it is needless"
        );
        let work = relay.work(Some(Lsn(8)), now + SYNC_EVERY).unwrap();
        assert!(work.syncs && !work.clears);
        relay.done(disk.carry_out(work));
        let work = relay.work(Some(Lsn(9)), now).unwrap();
        assert!(work.clears && !work.syncs);
        relay.done(disk.carry_out(work));
        assert!(relay.work(Some(Lsn(9)), now).is_none() && relay.end().is_none());
    }

    #[test]
    fn what_follows_the_log_is_appended_to_it() {
        let now = Instant::now();
        let (mut relay, mut disk) = (Relay::new(true), Disk { room: 9, ..Disk::default() });
        for (first, clears) in [(5, true), (7, false), (10, true)] {
            relay.begin(Lsn(first), Limits::default(), UnixMillis(0));
            relay.push(frame(first, first + 2));
            let work = relay.work(None, now).unwrap();
            assert_eq!(work.clears, clears, "{first}");
            relay.done(disk.carry_out(work));
            assert_eq!(drain(&mut relay, &mut disk, now), [first + 1, first + 2]);
        }
    }

    #[test]
    fn what_a_full_log_does_not_take_is_applied_from_memory() {
        let now = Instant::now();
        let (mut relay, mut disk) = (Relay::new(true), Disk { room: 1, ..Disk::default() });
        relay.begin(Lsn(1), Limits::default(), UnixMillis(0));
        relay.push(frame(1, 3));
        let mut work = relay.work(None, now).unwrap();
        work.reads = false;
        relay.done(disk.carry_out(work));
        relay.push(frame(3, 4));
        let mut work = relay.work(None, now).unwrap();
        work.reads = false;
        relay.done(disk.carry_out(work));
        assert!(!relay.has_room(), "the frame stays until it is taken or applied");
        assert_eq!(drain(&mut relay, &mut disk, now), [2, 3, 4]);
    }

    #[test]
    fn behind_a_frame_that_was_refused_the_log_begins_anew() {
        let now = Instant::now();
        let (mut relay, mut disk) = (Relay::new(true), Disk::default());
        relay.begin(Lsn(1), Limits::default(), UnixMillis(0));
        relay.push(frame(1, 2));
        let work = relay.work(Some(Lsn(1)), now).unwrap();
        assert!(work.clears && work.release == Some(Lsn(1)));
        relay.done(disk.carry_out(work));
        assert!(matches!(relay.decode().unwrap(), Relayed::Frame), "from memory");
        relay.push(frame(2, 3));
        let work = relay.work(Some(Lsn(1)), now).unwrap();
        assert!(work.clears, "it would have a gap otherwise");
        assert_eq!(work.release, Some(Lsn(1)), "and nothing of it was given up yet");
    }

    #[test]
    fn a_log_that_fails_is_read_to_its_end_and_used_no_more() {
        let now = Instant::now();
        let (mut relay, mut disk) = (Relay::new(true), Disk { room: 9, ..Disk::default() });
        relay.begin(Lsn(1), Limits::default(), UnixMillis(0));
        relay.push(frame(1, 3));
        let work = relay.work(None, now).unwrap();
        let done =
            RelayDone { failure: Some("disk full".into()), rejected: work.append, ..RelayDone::default() };
        relay.done(done);
        assert!(!relay.takes_arrivals() && relay.is_at_rest());
        assert_eq!(drain(&mut relay, &mut disk, now), [2, 3]);
        assert!(!relay.is_available());
    }

    #[test]
    fn a_resumed_log_is_read_from_its_start() {
        let now = Instant::now();
        let mut disk = Disk { room: 9, frames: [frame(4, 6)].into() };
        let mut relay = Relay::resumed(Lsn(4)..Lsn(6), Limits::default(), UnixMillis(0));
        assert_eq!(drain(&mut relay, &mut disk, now), [5, 6]);
    }

    #[test]
    fn frames_that_were_given_up_unread_are_not_counted() {
        let now = Instant::now();
        let mut disk = Disk { room: 9, frames: [frame(4, 6), frame(6, 9)].into() };
        let mut relay = Relay::resumed(Lsn(4)..Lsn(9), Limits::default(), UnixMillis(0));
        let work = relay.work(Some(Lsn(7)), now).unwrap();
        assert_eq!(work.release, Some(Lsn(7)));
        disk.frames.pop_front();
        relay.done(disk.carry_out(work));
        assert_eq!(drain(&mut relay, &mut disk, now), [7, 8, 9]);
    }

    #[test]
    fn frames_hold_whole_records() {
        let mut wire = Vec::new();
        encode::select(DbIndex(3), &mut wire);
        encode::command(TxId(9), &[b"SET", b"k", b"v"], &mut wire);
        encode::ping(&mut wire);
        let whole = wire.len();
        encode::command(TxId(9), &[b"DEL", b"k"], &mut wire);
        let mut buffer = BytesMut::from(&wire[..wire.len() - 1]);
        let mut stage = Stage::journal(Lsn(70), Limits::default());
        let (frame, missing) = frame_of(&mut stage, &mut buffer, 1 << 20, UnixMillis(5)).unwrap();
        let frame = frame.unwrap();
        assert_eq!((frame.first, frame.next, missing.is_some()), (70, 72, true));
        assert_eq!(frame.body, wire[..whole]);
        let set = Command { db: DbIndex(3), txid: TxId(9), args: Args::of(&["SET", "k", "v"]) };
        let mut decoder = Decoder::stream(Lsn(70));
        let mut body = BytesMut::from(frame.body);
        let Step::Ready(record) = decoder.decode(&mut body).unwrap() else { panic!() };
        assert_eq!(record, Record::Command(set));
        let (frame, _) = frame_of(&mut stage, &mut buffer, 1 << 20, UnixMillis(5)).unwrap();
        assert_eq!(frame, None);
    }
}
