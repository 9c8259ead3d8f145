//! The rig: it holds the world, lets accidents happen, and judges the end.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dfly_wire::{DbIndex, UnixMillis};

use super::super::FlowRequest;
use super::chance::Chance;
use super::checks::Checks;
use super::disk::Disk;
use super::session::{Begin, Session, Stepped};
use super::source::Source;
use super::watch::Watch;
use super::{Coverage, Plan};
use crate::clock::Now;
use crate::keys::{SourceKey, TargetKey};
use crate::run::report::Phase;
use crate::target::in_memory::server::{Server, SharedServer, lock};
use crate::target::writer::TargetEvent;

/// Steps that a run takes at the most for one record.
const PATIENCE: usize = 2_000;

/// The world of one run.
#[derive(Debug)]
pub(super) struct Rig {
    pub plan: Plan,
    pub chance: Chance,
    pub source: Source,
    pub server: SharedServer,
    pub disk: Disk,
    pub now: Now,
    /// How much the target is in a hurry: 0 stands still.
    speed: usize,
    /// Behind an accident the source rests soon, so that a wrong value is seen before a record replaces it.
    rest: Option<Rest>,
    /// Behind a refusal the tool is killed soon, so that this is not rare.
    killed: Option<Rest>,
    /// A flush is reached, and the source has not confirmed that it is still what it was.
    pub is_unconfirmed: bool,
    pub coverage: Coverage,
}

/// So many steps later the source rests.
#[derive(Debug)]
pub(super) struct Rest(usize);

impl Rest {
    fn begins(&mut self) -> bool {
        self.0 = self.0.saturating_sub(1);
        self.0 == 0
    }
}

/// What may go wrong.
#[derive(Debug, Clone, Copy)]
enum Accident {
    Cut,
    Crash,
    Reconnect,
    Restart,
    Refuse,
    Reorder,
    AskFromOutside,
    Slow,
    /// The tool is stopped while the target says nothing.
    SilentStop,
}

const ACCIDENTS: [&Accident; 9] = [
    &Accident::Cut,
    &Accident::Crash,
    &Accident::Reconnect,
    &Accident::Restart,
    &Accident::Refuse,
    &Accident::Reorder,
    &Accident::AskFromOutside,
    &Accident::Slow,
    &Accident::SilentStop,
];

impl Rig {
    pub(super) fn new(plan: Plan) -> Self {
        let now = Now { instant: Instant::now(), wall: UnixMillis(1_000_000) };
        Self {
            chance: Chance::new(plan.seed),
            plan,
            source: Source::new(),
            server: Arc::new(Mutex::new(Server::default())),
            disk: Disk::default(),
            now,
            speed: 3,
            rest: None,
            killed: None,
            is_unconfirmed: false,
            coverage: Coverage::new(),
        }
    }

    pub(super) fn count(&mut self, what: &'static str) {
        self.count_times(what, 1);
        tracing::trace!(millis = self.now.wall.0, record = self.source.records(), what);
    }

    pub(super) fn count_times(&mut self, what: &'static str, times: u64) {
        if times > 0 {
            *self.coverage.entry(what).or_default() += times;
        }
    }

    /// Behind what has just happened the source rests soon.
    pub(super) fn rest_soon(&mut self) {
        self.rest = Some(Rest(1 + self.chance.below(40)));
    }

    pub(super) fn pass_time(&mut self, millis: u64) {
        self.now.instant += Duration::from_millis(millis);
        self.now.wall = UnixMillis(self.now.wall.0 + i64::try_from(millis).unwrap());
    }

    /// Keys that the source does not have are still to be removed from the target.
    pub(super) fn sweeps(&self) -> bool {
        lock(&self.server).now.sweeps
    }

    pub(super) fn execute(&mut self) {
        let flushes = self.chance.once_in(4);
        self.source.execute(&mut self.chance, flushes);
    }

    /// Runs until the source has executed everything and the target holds it.
    pub(super) fn run(mut self) -> Coverage {
        let before = self.chance.below(40);
        (0..before).for_each(|_| self.execute());
        let mut session = self.begin();
        let mut accidents = self.plan.accidents;
        for _ in 0..self.plan.records * PATIENCE {
            let is_over = self.source.records() >= self.plan.records;
            let rests = is_over || self.rest.as_mut().is_some_and(Rest::begins);
            if rests {
                self.speed = 3;
            }
            if rests && self.is_done(&session) {
                self.judge();
                self.rest = None;
                if is_over {
                    self.count_reasons(&session);
                    self.count_frames();
                    return self.coverage;
                }
            }
            if !rests && self.chance.below(3) == 0 {
                self.execute();
            }
            let every = self.plan.records * 9 / self.plan.accidents;
            let stepped = if self.killed.as_mut().is_some_and(Rest::begins) {
                self.killed = None;
                self.kill(&mut session);
                None
            } else if accidents > 0 && self.chance.once_in(every.max(1)) {
                accidents -= 1;
                self.rest_soon();
                self.accident(&mut session)
            } else {
                Some(self.step(&mut session))
            };
            if !matches!(stepped, Some(Stepped::On)) {
                session = self.begin_again(session, stepped.as_ref());
            }
        }
        panic!(
            "not done after {} records: {:?}, {:?}",
            self.source.records(),
            session.core.positions,
            session.core.refetch
        );
    }

    pub(super) fn is_done(&self, session: &Session) -> bool {
        let at = lock(&self.server).now.position;
        self.source.wire.is_empty()
            && session.buffer.is_empty()
            && session.is_quiet()
            && !self.sweeps()
            && at.is_some_and(|at| at.next == self.source.next_lsn())
    }

    fn count_frames(&mut self) {
        for (what, times) in
            [("relay frame written", self.disk.written), ("relay log full", self.disk.refused)]
        {
            self.count_times(what, times);
        }
    }

    pub(super) fn judge(&self) {
        let there = lock(&self.server).data();
        let shown = |map: &std::collections::BTreeMap<Bytes, Vec<u8>>| {
            map.iter().map(|(key, value)| format!("{key:?}={}", value.escape_ascii())).collect::<Vec<_>>()
        };
        assert_eq!(shown(&there), shown(&self.source.keys), "seed {}", self.plan.seed);
        let noted: Vec<Bytes> = lock(&self.server).now.sets.values().flatten().cloned().collect();
        assert_eq!(noted, [""; 0], "seed {}: still noted as to be refetched", self.plan.seed);
    }

    pub(super) fn step(&mut self, session: &mut Session) -> Stepped {
        let stepped = match self.chance.below(16) {
            0..3 => {
                self.arrive(session);
                Stepped::On
            }
            3..6 => self.advance(session),
            6..9 => {
                let carries = self.chance.below(3) < self.speed;
                if carries {
                    session.writer.carry_out();
                }
                Stepped::On
            }
            9 => {
                // Several answers may come at once.
                let has_refused = session.writer.has_unanswered_refusals();
                let has_answers = session.writer.answer();
                while self.chance.once_in(2) && session.writer.answer() {}
                if has_answers && has_refused {
                    self.count("refusal");
                }
                self.hear(session)
            }
            10 => {
                self.ask(session);
                Stepped::On
            }
            11 => {
                session.disk(&mut self.disk, self.now.instant);
                Stepped::On
            }
            12..14 => {
                self.check(session);
                Stepped::On
            }
            14 => {
                self.order(session);
                self.scan(session);
                Stepped::On
            }
            _ => {
                self.source.send_snapshot();
                // Now and then everything stands still for a while.
                let millis = if self.chance.once_in(100) { 1_200 } else { self.chance.below(30) as u64 };
                self.pass_time(millis);
                Stepped::On
            }
        };
        self.watch(session);
        self.save();
        stepped
    }

    /// Counts what has changed since the last step.
    fn watch(&mut self, session: &mut Session) {
        let now = Watch::of(&session.core);
        let before = std::mem::replace(&mut session.watch, now);
        session.watch.changes(&before).for_each(|what| self.count(what));
    }

    /// Counts why keys were refetched in a session that ends.
    fn count_reasons(&mut self, session: &Session) {
        let report = session.core.counters.report(Phase::StableSync, None, self.now.instant);
        for (reason, times) in report.refetches {
            self.count_times(reason.name(), times);
        }
    }

    /// Now and then the server saves what it holds.
    fn save(&mut self) {
        if self.chance.once_in(50) {
            let mut server = lock(&self.server);
            server.saved = server.now.clone();
        }
    }

    /// `None`: the tool is gone.
    fn accident(&mut self, session: &mut Session) -> Option<Stepped> {
        let accident = *self.chance.of(&ACCIDENTS);
        match accident {
            Accident::Cut => {
                self.count("cut");
                Some(self.leave(session))
            }
            Accident::SilentStop if session.core.can_keep() => {
                self.count("kept on disk by a stop");
                self.stop_before_the_target(session);
                None
            }
            Accident::Crash => {
                self.kill(session);
                None
            }
            Accident::Reconnect if session.core.positions.has_entered() => {
                self.count("reconnect");
                session.writer.reconnect();
                Some(self.hear(session))
            }
            Accident::Restart if session.core.positions.has_entered() => {
                self.count("restart");
                lock(&self.server).restart();
                // Whoever reads from it is cut off too.
                session.checks = Checks::default();
                session.writer.forget();
                Some(self.hear(session))
            }
            Accident::Refuse if session.core.positions.has_entered() => {
                lock(&self.server).refusals = 1 + self.chance.below(2);
                self.killed = self.chance.once_in(3).then(|| Rest(1 + self.chance.below(60)));
                Some(Stepped::On)
            }
            Accident::Reorder => {
                self.count("reordered");
                let key = self.some_key();
                let event = TargetEvent::Reordered(vec![TargetKey::new(DbIndex(0), key)]);
                drop(session.core.on_target(event, &mut session.writer, self.now).expect("it goes on"));
                Some(Stepped::On)
            }
            Accident::AskFromOutside => {
                let keys = vec![SourceKey::new(DbIndex(0), self.some_key())];
                session.core.on_request(FlowRequest::Refetch(keys), &session.writer, self.now.instant);
                Some(Stepped::On)
            }
            Accident::Slow => {
                self.speed = if self.speed == 3 { 0 } else { 3 };
                self.count("slow");
                Some(Stepped::On)
            }
            Accident::Reconnect | Accident::Restart | Accident::Refuse | Accident::SilentStop => {
                Some(Stepped::On)
            }
        }
    }

    /// The tool is killed.
    fn kill(&mut self, session: &mut Session) {
        let has_entered = session.core.positions.has_entered();
        self.count(if has_entered { "crash" } else { "crash in the snapshot" });
        if session.writer.has_unanswered_refusals() {
            self.count("crash before a refusal is heard");
        }
        // What was sent may still be carried out.
        for _ in 0..self.chance.below(5) {
            session.writer.carry_out();
        }
    }

    fn some_key(&mut self) -> Bytes {
        Bytes::from(self.chance.of(&["a", "b", "c", "x", "y"]).to_owned())
    }

    /// Another session, behind one that ended so.
    fn begin_again(&mut self, session: Session, ended: Option<&Stepped>) -> Session {
        self.count_reasons(&session);
        drop(session);
        self.source.close();
        if matches!(ended, Some(Stepped::Flushed)) {
            lock(&self.server).now.position = None;
        }
        (0..self.chance.below(20)).for_each(|_| self.execute());
        self.begin()
    }

    pub(super) fn begin(&mut self) -> Session {
        self.speed = 3;
        let stands_at = lock(&self.server).now.position;
        let begin = match stands_at {
            None => {
                self.begin_full();
                Begin::Snapshot
            }
            Some(at) => {
                let logged = self.disk.reopen(at.heard);
                let ask = logged.map_or(at.heard, |(_, last)| last);
                if logged.is_some() {
                    self.count("relay log resumed");
                }
                if !at.is_heard() {
                    self.count("records read again");
                }
                let in_snapshot_form = self.chance.once_in(2);
                match in_snapshot_form {
                    true => self.source.begin_backlog(ask),
                    false => self.source.begin_journal(ask),
                }
                self.count(if in_snapshot_form { "backlog resumed" } else { "journal resumed" });
                Begin::Journal { at, ask, logged: logged.map(|(first, _)| first), in_snapshot_form }
            }
        };
        let mut session = Session::begin(begin, self.sweeps(), &self.server, self.now.instant);
        // A flow that begins with the journal is stable without saying so.
        session.core.settings.leaves_when_full = self.plan.seed.is_multiple_of(2);
        session.scans = self.sweeps() && matches!(begin, Begin::Journal { in_snapshot_form: false, .. });
        session
    }

    /// Over what the target holds, or into an empty one.
    fn begin_full(&mut self) {
        self.source.begin_full();
        let sweeps = self.chance.once_in(2);
        let mut server = lock(&self.server);
        server.now.sets.clear();
        match sweeps {
            true => {
                for name in ["extra", "a", "b", "c", "d", "e"] {
                    server.now.strings.insert(Bytes::from_static(name.as_bytes()), b"old".to_vec());
                }
            }
            false => server.now.strings.clear(),
        }
        server.now.sweeps = sweeps;
        server.saved = server.now.clone();
        drop(server);
        self.count(if sweeps { "snapshot over data" } else { "snapshot begun" });
    }
}
