//! What the driver does, as steps that the rig takes one at a time.

use dfly_client::FlowId;
use dfly_wire::DbIndex;

use super::super::{Action, Course, FlowAnswer, Order, RefetchOutcome, Signal, Want};
use super::rig::Rig;
use super::session::{Asked, Session, Stepped};
use crate::checkpoint::Checkpoint;
use crate::error::FlowError;
use crate::flow::refetch::{Answer, Presence, Question, Reading};
use crate::flow::scan_events::ScanEvent;
use crate::keys::SourceKey;
use crate::target::in_memory::server::lock;
use crate::target::writer::TargetWriter;

impl Rig {
    /// The flow applies what has arrived.
    pub(super) fn advance(&mut self, session: &mut Session) -> Stepped {
        match session.core.advance(&mut session.buffer, &mut session.writer, self.now) {
            Ok(want) => session.want = want,
            Err(FlowError::FlushedInSync(_)) => {
                self.count("flush in the snapshot");
                return Stepped::Flushed;
            }
            // The source is left, so that it does not wait.
            Err(FlowError::RelayFull { .. }) => {
                self.count("left with a full relay log");
                return self.leave(session);
            }
            Err(error) => panic!("{error}"),
        }
        self.act(session);
        if std::mem::take(&mut self.is_unconfirmed) {
            self.count("flush not confirmed");
            return self.leave(session);
        }
        Stepped::On
    }

    /// The session ends as if the source were gone.
    pub(super) fn leave(&mut self, session: &mut Session) -> Stepped {
        match self.lose_source(session) {
            Stepped::On => Stepped::TargetLost,
            other => other,
        }
    }

    /// Does what the flow has decided.
    pub(super) fn act(&mut self, session: &mut Session) {
        while let Some(action) = session.core.next_action() {
            match action {
                Action::Acknowledge(lsn) => {
                    let stored = lock(&self.server).now.position;
                    assert!(stored.is_some_and(|at| at.next >= lsn), "{lsn} is not durable: {stored:?}");
                    let passed = session.acknowledged.0..lsn.0;
                    let is_asked = self.source.pings.iter().any(|ping| passed.contains(ping));
                    let waits = is_asked && !session.core.refetch.is_idle();
                    assert!(!waits, "{lsn} is acknowledged behind a PING while a key waits");
                    session.acknowledged = lsn;
                    self.count("acknowledged");
                }
                Action::Tell(signal) => self.on_signal(&signal, session),
                Action::Ask(question) => session.asked.push(Asked { question, before: None }),
                Action::Relay(work) => {
                    assert!(session.work.is_none(), "one order at a time");
                    session.work = Some(work);
                }
                Action::ScanSettled => {
                    let mut server = lock(&self.server);
                    let waits = session.core.refetch.contains(&SourceKey::new(DbIndex(0), "extra"));
                    let is_noted = server.now.sets.values().any(|noted| noted.contains(&b"0:extra"[..]));
                    let is_there = server.data().contains_key(&b"extra"[..]);
                    assert!(waits || is_noted || !is_there, "an extra key is not removed yet");
                    server.now.sweeps = false;
                }
                Action::Answer(FlowAnswer::Refetched(_, RefetchOutcome::Superseded)) => {
                    self.count("superseded by a record");
                }
                Action::Answer(FlowAnswer::Refetched(..)) => self.count("asked from outside"),
                Action::Answer(answer) => self.on_check(answer, session),
            }
        }
    }

    fn on_signal(&mut self, signal: &Signal, session: &mut Session) {
        match signal {
            Signal::Cut | Signal::RelayFull | Signal::SlotsGone(..) => {}
            Signal::Stable => session.scans = self.sweeps(),
            // The source does not say that it is still the master.
            Signal::AtFlush(..) if self.chance.once_in(6) => self.is_unconfirmed = true,
            Signal::AtFlush(_, at) => {
                let flows = [(FlowId(0), *at)].into();
                let checkpoint = Checkpoint { source_id: "source".to_owned(), flows, is_demoted: false };
                session.orders.push_back(Order::Execute(checkpoint, Box::default()));
            }
            Signal::Flushed => {
                self.count("flush");
                session.orders.push_back(Order::Pass);
            }
        }
    }

    /// The session's word about a flush comes.
    pub(super) fn order(&mut self, session: &mut Session) {
        if let Some(order) = session.orders.pop_front() {
            session.core.on_order(order, &mut session.writer, self.now);
        }
    }

    /// Some of what the source has sent arrives.
    pub(super) fn arrive(&mut self, session: &mut Session) {
        if !session.core.may_read(session.buffer.len(), session.want, self.now.instant) {
            return;
        }
        let most = self.source.wire.len().min(1 + self.chance.below(300));
        session.buffer.extend(self.source.wire.drain(..most));
        session.core.on_bytes(most, self.now.instant);
    }

    /// What became of batches is told.
    pub(super) fn hear(&mut self, session: &mut Session) -> Stepped {
        session.core.on_moved(&mut session.writer, self.now);
        while let Some(event) = session.writer.next_event(self.now.instant) {
            match session.core.on_target(event, &mut session.writer, self.now) {
                Ok(Course::On) => {}
                Ok(Course::TargetLost(_)) => return Stepped::TargetLost,
                Err(error) => panic!("{error}"),
            }
        }
        Stepped::On
    }

    /// A question to the source goes on by one step: the LSN before, then the answer with the LSN behind.
    pub(super) fn ask(&mut self, session: &mut Session) {
        if session.asked.is_empty() {
            return;
        }
        let nth = self.chance.below(session.asked.len());
        let next = self.source.next_lsn();
        let asked = &mut session.asked[nth];
        let Some(before) = asked.before else {
            asked.before = Some(next);
            return;
        };
        let Asked { question, .. } = session.asked.swap_remove(nth);
        match question {
            Question::Value { key, ticket, is_hot: true } => {
                let (at, value) = (self.source.next_lsn(), self.source.read(&key.name));
                self.count("refetched although it changes all the time");
                let answer = Answer::Read(Reading { before: at, behind: at, value });
                let done = session.core.on_value(&key, ticket, answer, &session.writer, self.now.instant);
                done.expect("nothing is refused");
            }
            Question::Value { key, ticket, is_hot: false } => {
                // The value is read now, and the LSN behind it later: sometimes records come in between.
                let value = self.source.read(&key.name);
                let answer = match self.chance.below(40) {
                    0 => Answer::Later,
                    chance => {
                        self.execute_some(if chance < 8 { 3 } else { 0 });
                        Answer::Read(Reading { before, behind: self.source.next_lsn(), value })
                    }
                };
                if let Answer::Read(reading) = &answer {
                    let again = reading.before != reading.behind;
                    self.count(if again { "refetched again" } else { "refetched" });
                }
                let done = session.core.on_value(&key, ticket, answer, &session.writer, self.now.instant);
                done.expect("nothing is refused");
            }
            Question::Presence(keys, ticket) => {
                let is_missing = |key: &SourceKey| !self.source.keys.contains_key(&key.name);
                let missing = keys.into_iter().filter(is_missing).collect();
                self.execute_some(usize::from(self.chance.clone().once_in(4)));
                let behind = self.source.next_lsn();
                session.core.on_presence(ticket, Some(Presence { before, behind, missing }));
                self.count("extra keys");
            }
        }
    }

    fn execute_some(&mut self, records: usize) {
        for _ in 0..records {
            self.execute();
        }
    }

    /// The scan for extra keys finds something.
    pub(super) fn scan(&mut self, session: &mut Session) {
        if !session.scans || !session.core.takes_scan_events() {
            return;
        }
        let event = match session.scanned {
            false => {
                let there = lock(&self.server).data();
                let extra = there.into_keys().filter(|key| !self.source.keys.contains_key(key));
                ScanEvent::Extra(extra.map(|key| SourceKey::new(DbIndex(0), key)).collect())
            }
            true => {
                session.scans = false;
                ScanEvent::AllLookedFor(self.source.next_lsn())
            }
        };
        session.scanned = true;
        self.rest_soon();
        session.core.on_scan(event, &mut session.writer);
    }

    /// Nothing more is received: what was becomes durable.
    fn drain(&mut self, session: &mut Session) -> Stepped {
        for _ in 0..100_000 {
            session.core.commit_rest(&mut session.writer, self.now);
            self.act(session);
            let is_idle = session.writer_is_idle();
            if is_idle && session.core.is_relay_at_rest() && session.work.is_none() {
                return Stepped::On;
            }
            session.writer.carry_out();
            session.writer.answer();
            if let Stepped::TargetLost = self.hear(session) {
                return Stepped::TargetLost;
            }
            session.disk(&mut self.disk, self.now.instant);
            self.pass_time(1);
        }
        panic!("the flow does not come to rest");
    }

    /// The source is gone.
    pub(super) fn lose_source(&mut self, session: &mut Session) -> Stepped {
        for _ in 0..100_000 {
            let want = match session.core.relays() {
                true => self.relay_rest(session),
                false => match session.core.apply_rest(&mut session.buffer, &mut session.writer, self.now) {
                    Ok(want) => want,
                    Err(FlowError::FlushedInSync(_)) => return Stepped::Flushed,
                    Err(error) => panic!("{error}"),
                },
            };
            if want == Want::Disk {
                self.act(session);
                session.disk(&mut self.disk, self.now.instant);
                continue;
            }
            let is_last = want == Want::Bytes || session.core.is_at_flush();
            if is_last {
                session.core.conclude();
            }
            match self.drain(session) {
                Stepped::On if is_last => return Stepped::On,
                Stepped::On => {}
                lost => return lost,
            }
        }
        panic!("the flow does not end");
    }

    /// What the target has not answered goes to disk, and the target may still carry it out.
    pub(super) fn stop_before_the_target(&mut self, session: &mut Session) {
        session.core.begin_stop(self.now);
        session.core.keep(self.now);
        self.relay_rest(session);
        for _ in 0..self.chance.below(5) {
            session.writer.carry_out();
        }
    }

    fn relay_rest(&mut self, session: &mut Session) -> Want {
        for _ in 0..100_000 {
            let is_done = session.core.relay_rest(&mut session.buffer, self.now).expect("whole records");
            self.act(session);
            if is_done {
                return Want::Bytes;
            }
            session.disk(&mut self.disk, self.now.instant);
        }
        panic!("the relay log does not come to rest");
    }
}
