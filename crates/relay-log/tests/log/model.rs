use std::fs;
use std::path::{Path, PathBuf};

use dfly_wire::UnixMillis;
use proptest::prelude::*;
use relay_log::{Appended, Frame, Options, RelayLog};
use tempfile::{TempDir, tempdir};

use crate::{SMALL, frame, open, read_all, segments};

const OPTIONS: Options = Options { max_bytes: 4000, ..SMALL };

#[derive(Debug, Clone)]
enum Op {
    Append {
        records: u64,
        size: usize,
    },
    Sync,
    Read(usize),
    /// Up to this share of what the log holds, in 255ths.
    Release(u8),
    Seek(u8),
    /// The process ends without a sync.
    Reopen,
    /// The machine stops: this share of what was not synced is there.
    Crash(u8),
    Clear,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        12 => (0u64..4, 0usize..250).prop_map(|(records, size)| Op::Append { records, size }),
        1 => (1u64..4, 250usize..1000).prop_map(|(records, size)| Op::Append { records, size }),
        3 => Just(Op::Sync),
        4 => (1usize..8).prop_map(Op::Read),
        2 => any::<u8>().prop_map(Op::Release),
        1 => any::<u8>().prop_map(Op::Seek),
        1 => Just(Op::Reopen),
        2 => any::<u8>().prop_map(Op::Crash),
        1 => Just(Op::Clear),
    ];
    prop::collection::vec(op, 1..80)
}

/// The log, and everything that it must do.
struct World {
    dir: TempDir,
    log: Option<RelayLog>,
    /// Every frame since the log was fresh.
    frames: Vec<Frame>,
    /// The next one to be read.
    read: usize,
    /// Frames that end here or before are passed over.
    skip: Option<u64>,
    released: u64,
    /// How much of which file is certainly on disk.
    safe: Option<(PathBuf, u64)>,
    appended: i64,
    /// Where the log ends.
    next: u64,
}

fn share(of: u64, part: u8) -> u64 {
    of * u64::from(part) / 255
}

impl World {
    fn new() -> Self {
        let dir = tempdir().unwrap();
        let log = Some(open(dir.path(), OPTIONS).0);
        Self {
            dir,
            log,
            frames: Vec::new(),
            read: 0,
            skip: None,
            released: 0,
            safe: None,
            appended: 0,
            next: 100,
        }
    }

    fn log(&mut self) -> &mut RelayLog {
        self.log.as_mut().unwrap()
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Append { records, size } => self.append(*records, *size),
            Op::Sync => {
                self.log().sync().unwrap();
                self.is_safe();
            }
            Op::Read(count) => (0..*count).for_each(|_| self.read()),
            Op::Release(part) => self.release(*part),
            Op::Seek(part) => self.seek(*part),
            Op::Reopen => self.restart(),
            Op::Crash(part) => self.crash(*part),
            Op::Clear => {
                self.log().clear().unwrap();
                self.frames.clear();
                (self.read, self.skip, self.released, self.safe) = (0, None, 0, None);
            }
        }
        self.check();
    }

    fn append(&mut self, records: u64, size: usize) {
        let fill = u8::try_from(self.appended % 251).unwrap();
        let mut frame = frame(self.next, self.next + records, vec![fill; size]);
        frame.received_at = UnixMillis(self.appended);
        let (before, files) = (self.log().size(), segments(self.path()));
        match self.log().append(&frame).unwrap() {
            Appended::Yes => {
                self.appended += 1;
                self.next = frame.next;
                self.frames.push(frame);
            }
            Appended::Full => {
                assert!(before + 72 + 48 + size as u64 > OPTIONS.max_bytes);
                assert_eq!((self.log().size(), &files), (before, &segments(self.path())));
            }
        }
        if segments(self.path()).last() != files.last() {
            // Another segment: all before it is on disk, of itself nothing need be.
            self.safe = segments(self.path()).pop().map(|path| (path, 0));
        }
    }

    /// Everything is on disk.
    fn is_safe(&mut self) {
        let last = segments(self.path()).pop();
        self.safe = last.map(|path| (path.clone(), fs::metadata(path).unwrap().len()));
        if self.log().positions().is_some() {
            assert_eq!(self.log().synced(), Some(self.next));
        }
    }

    fn read(&mut self) {
        let skip = self.skip.take().unwrap_or(0);
        self.read += self.frames.iter().skip(self.read).take_while(|frame| frame.next <= skip).count();
        let found = self.log().next_frame().unwrap();
        assert_eq!(found.as_ref(), self.frames.get(self.read));
        self.read += usize::from(found.is_some());
    }

    fn release(&mut self, part: u8) {
        let Some(held) = self.log().positions() else { return };
        let upto = held.start + share(held.end - held.start, part);
        self.log().release(upto).unwrap();
        if upto > self.released {
            self.released = upto;
            let read = self.read.checked_sub(1).map_or(held.start, |last| self.frames[last].next);
            if upto > self.skip.unwrap_or(read) {
                self.skip = Some(upto);
            }
        }
        let kept = self.log().positions().unwrap();
        assert!(kept.start <= held.start.max(upto) && kept.end == held.end);
    }

    fn seek(&mut self, part: u8) {
        let Some(held) = self.log().positions() else { return };
        let first = held.start.max(self.released);
        let position = first + share(held.end - first, part);
        self.log().seek(position).unwrap();
        (self.read, self.skip) = (0, Some(position));
    }

    fn crash(&mut self, part: u8) {
        self.log = None;
        if let Some((path, safe)) = self.safe.clone() {
            let size = fs::metadata(&path).unwrap().len();
            let kept = safe + share(size - safe, part);
            fs::File::options().write(true).open(&path).unwrap().set_len(kept).unwrap();
        }
        self.restart();
    }

    fn restart(&mut self) {
        let synced = self.log.as_ref().and_then(RelayLog::synced);
        self.log = None;
        let (log, recovered) = open(self.path(), OPTIONS);
        self.log = Some(log);
        let held = recovered.positions;
        assert!(held.as_ref().is_none_or(|held| synced.is_none_or(|synced| held.end >= synced)));
        let found = read_all(self.log());
        assert_eq!(found.len() as u64, recovered.frames);
        // What was released may be gone, what was not synced may be lost; the rest is as it was.
        let is_first =
            |frame: &Frame| found.first().is_some_and(|first| first.received_at == frame.received_at);
        let start = self.frames.iter().position(is_first).unwrap_or(self.frames.len());
        assert_eq!(found[..], self.frames[start..self.frames.len().min(start + found.len())]);
        (self.frames, self.read, self.skip, self.released) = (found, 0, None, 0);
        if let Some(held) = held {
            self.next = held.end;
            self.log().seek(held.start).unwrap();
            self.skip = Some(held.start);
        }
        self.is_safe();
    }

    fn check(&mut self) {
        let end = self.log().positions().map(|held| held.end);
        assert!(end.is_none_or(|end| end == self.next));
        assert!(self.log().size() <= OPTIONS.max_bytes);
    }
}

proptest! {
    #[test]
    fn a_log_does_what_a_list_does(ops in ops()) {
        let mut world = World::new();
        for op in &ops {
            world.step(op);
        }
    }
}
