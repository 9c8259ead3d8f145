//! Moments that a seed meets too rarely, one at a time.

use std::time::Duration;

use bytes::Bytes;
use dfly_wire::DbIndex;

use super::super::FlowRequest;
use super::Plan;
use super::rig::Rig;
use super::session::{Asked, Session, Stepped};
use crate::flow::refetch::{Presence, Question};
use crate::flow::scan_events::ScanEvent;
use crate::keys::SourceKey;
use crate::target::in_memory::server::lock;

fn line(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn key(name: &'static str) -> SourceKey {
    SourceKey::new(DbIndex(0), name)
}

/// Steps until the target holds everything.
fn settle(rig: &mut Rig, session: &mut Session) {
    for _ in 0..100_000 {
        if rig.is_done(session) {
            return;
        }
        assert!(matches!(rig.step(session), Stepped::On));
    }
    panic!("not settled: {:?}", session.core.positions);
}

/// A flow in stable sync: the source has `a`, and the target `stale` beside it.
fn stable() -> (Rig, Session) {
    let mut rig = Rig::new(Plan { seed: 3, records: 1, accidents: 0 });
    rig.source.run(line("SET a v"));
    let mut session = rig.begin();
    settle(&mut rig, &mut session);
    lock(&rig.server).now.strings.insert(Bytes::from_static(b"stale"), b"old".to_vec());
    (rig, session)
}

/// Some of what the source has sent arrives, later than bytes gather.
fn arrive(rig: &mut Rig, session: &mut Session) {
    rig.pass_time(1);
    rig.arrive(session);
}

/// Everything that the source has sent arrives and is applied.
fn receive(rig: &mut Rig, session: &mut Session) {
    for _ in 0..100 {
        arrive(rig, session);
        rig.advance(session);
        if rig.source.wire.is_empty() && session.buffer.is_empty() {
            return;
        }
    }
    panic!("not received: {:?}", session.core.positions);
}

/// The scan finds these keys, and the source is asked for them.
fn ask_for(names: &[&'static str], rig: &mut Rig, session: &mut Session) -> Question {
    let extra = ScanEvent::Extra(names.iter().map(|name| key(name)).collect());
    session.core.on_scan(extra, &mut session.writer);
    rig.advance(session);
    let Asked { question, .. } = session.asked.pop().expect("the source is asked");
    question
}

/// The source was asked from `before` on, and does not have these keys.
fn answer(question: &Question, before: u64, missing: &[&'static str], rig: &Rig, session: &mut Session) {
    let Question::Presence(_, ticket) = question else { panic!("{question:?}") };
    let missing = missing.iter().map(|name| key(name)).collect();
    let (before, behind) = (dfly_journal::Lsn(before), rig.source.next_lsn());
    session.core.on_presence(*ticket, Some(Presence { before, behind, missing }));
}

/// While the target carries out a flush, however long that takes, the source is read on, and what it sends goes to disk (P26).
#[test]
fn a_flush_that_takes_long_holds_up_no_reading() {
    let mut rig = Rig::new(Plan { seed: 3, records: 1, accidents: 0 });
    rig.source.run(line("SET a v"));
    let mut session = rig.begin();
    settle(&mut rig, &mut session);
    rig.source.run(line("FLUSHALL"));
    for _ in 0..200 {
        arrive(&mut rig, &mut session);
        rig.advance(&mut session);
        if !session.orders.is_empty() {
            break;
        }
    }
    rig.order(&mut session);
    assert!(!session.writer_is_idle(), "the flush is in flight");
    let before = rig.disk.written;
    for n in 0..60 {
        rig.source.run(line(&format!("SET b {n}")));
        arrive(&mut rig, &mut session);
        rig.advance(&mut session);
        session.disk(&mut rig.disk, rig.now.instant);
    }
    assert!(rig.disk.written > before, "what arrives goes to disk");
    assert!(session.core.is_at_flush() && session.core.is_hurried());
    settle(&mut rig, &mut session);
    rig.judge();
}

/// A key that the source makes while it is asked for it is not removed: its record decides.
#[test]
fn a_record_takes_its_key_out_of_what_the_scan_found() {
    let (mut rig, mut session) = stable();
    let question = ask_for(&["b"], &mut rig, &mut session);
    let before = rig.source.next_lsn().0;
    rig.source.run(line("SET b v"));
    receive(&mut rig, &mut session);
    answer(&question, before, &["b"], &rig, &mut session);
    settle(&mut rig, &mut session);
    assert_eq!(lock(&rig.server).data().get(&b"b"[..]), Some(&b"v".to_vec()));
}

/// The source has a key after all that the target holds with another value: it is read again.
#[test]
fn a_key_that_the_source_has_after_all_is_refetched() {
    let (mut rig, mut session) = stable();
    lock(&rig.server).now.strings.insert(Bytes::from_static(b"a"), b"old".to_vec());
    let question = ask_for(&["a", "stale"], &mut rig, &mut session);
    let before = rig.source.next_lsn().0;
    answer(&question, before, &["stale"], &rig, &mut session);
    settle(&mut rig, &mut session);
    rig.judge();
}

/// The scan has ended at a position that the flow has not come to: until then keys may be found that are not synchronised.
#[test]
fn a_scan_is_passed_where_it_ended_and_not_before() {
    let (mut rig, mut session) = stable();
    for value in ["1", "2"] {
        rig.source.run(line(&format!("SET b {value}")));
    }
    session.core.on_scan(ScanEvent::AllLookedFor(rig.source.next_lsn()), &mut session.writer);
    session.core.admission.unsynced = Some(crate::flow::admission::UnsyncedKeys::default());
    rig.advance(&mut session);
    assert!(session.core.admission.unsynced.is_some(), "two records are to come");
    receive(&mut rig, &mut session);
    assert!(session.core.admission.unsynced.is_none());
}

/// Whoever has asked for a key learns that a flush decides about it, and the note of it does not outlive the flush.
#[test]
fn a_flush_answers_for_the_keys_that_it_takes() {
    let (mut rig, mut session) = stable();
    rig.source.run(line("FLUSHALL"));
    for _ in 0..200 {
        arrive(&mut rig, &mut session);
        rig.advance(&mut session);
        if session.core.is_at_flush() {
            break;
        }
    }
    session.core.on_request(FlowRequest::Refetch(vec![key("a")]), &session.writer, rig.now.instant);
    settle(&mut rig, &mut session);
    assert_eq!(rig.coverage.get("superseded by a record"), Some(&1));
    rig.judge();
}

/// C30: what the target does not answer for a second goes to disk with all that was sent, and a kill needs no backlog.
#[test]
fn what_is_not_answered_goes_to_disk() {
    let (mut rig, mut session) = stable();
    let before = lock(&rig.server).now.position.expect("the flow is stable");
    let began = rig.now.instant;
    for n in 0..5 {
        rig.source.run(line(&format!("INCRBY x {n}")));
        receive(&mut rig, &mut session);
    }
    let due = session.core.unanswered_at().expect("it is not safe");
    assert!((began..rig.now.instant).contains(&(due - Duration::from_secs(1))), "from the oldest on");
    let left = u64::try_from((due - rig.now.instant).as_millis()).expect("a second");
    rig.pass_time(left - 1);
    rig.advance(&mut session);
    assert!(session.work.is_none() && rig.disk.written == 0, "not yet");
    rig.pass_time(1);
    assert!(session.core.wake_at(&session.writer, rig.now.instant) <= rig.now.instant);
    rig.advance(&mut session);
    session.disk(&mut rig.disk, rig.now.instant);
    let held = rig.disk.reopen(before.heard).expect("the log reaches back to what was answered");
    assert_eq!(held.1, rig.source.next_lsn());
    drop(session);
    let mut session = rig.begin();
    settle(&mut rig, &mut session);
    lock(&rig.server).now.strings.remove(&b"stale"[..]);
    rig.judge();
}
