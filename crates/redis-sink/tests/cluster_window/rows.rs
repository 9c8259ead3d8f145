//! What each answer of a node leads to, one by one: the table of docs/cluster.md and the rules around it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use redis_resp::{CommandBatch, Outcome, ServerError, arguments, commands};
use redis_sink::cluster::{ClusterMap, ClusterWindow, Lost, NodeId, Pauses, Unit};
use redis_sink::{WindowError, WindowLimits};
use redis_slots::Slot;

use crate::simulated::Cluster;

/// Of every command.
pub(crate) const TAG: u64 = 42;

pub(crate) const A: NodeId = NodeId(0);
pub(crate) const B: NodeId = NodeId(1);

/// A slot of the first of three nodes, and another.
const SLOT: Slot = Slot(100);
const OTHER: Slot = Slot(101);

pub(crate) struct Window {
    pub inner: ClusterWindow<u8>,
    now: Instant,
}

impl Window {
    /// With connections to three nodes.
    pub(crate) fn new() -> Self {
        let map = ClusterMap::new(&Cluster::new(3).topology(), "h").unwrap();
        let pauses = Pauses { shortest: Duration::from_millis(10), longest: Duration::from_millis(35) };
        let limits = WindowLimits { commands: 10, bytes: 1 << 20 };
        let mut inner = ClusterWindow::new(limits, pauses, map);
        (0..3).for_each(|node| inner.on_open(NodeId(node)));
        Self { inner, now: Instant::now() }
    }

    /// A batch with a plain unit.
    pub(crate) fn plain(&mut self, tag: u8, lines: &[&str]) {
        self.inner.push([Unit::plain(SLOT, &mut batch(lines))], tag);
    }

    pub(crate) fn transaction(&mut self, tag: u8, line: &str) {
        let lines = ["MULTI", line, "HSET p f 7", "EXEC"];
        self.inner.push([Unit::transaction(SLOT, &mut batch(&lines), u64::from(tag))], tag);
    }

    /// What is written to a node.
    pub(crate) fn sent(&mut self, node: NodeId) -> Vec<String> {
        let wire = self.inner.outgoing(node).split();
        let text =
            |command| arguments(command).map(|word| word.escape_ascii().to_string()).collect::<Vec<_>>();
        commands(&wire).map(|command| text(command).join(" ")).collect()
    }

    pub(crate) fn done(&mut self, node: NodeId, count: usize) {
        for _ in 0..count {
            self.inner.on_outcome(node, Outcome::Done, self.now).unwrap();
        }
    }

    fn try_refuse(&mut self, node: NodeId, line: &str) -> Result<(), WindowError> {
        self.inner.on_outcome(node, Outcome::Refused(ServerError::parse(line.as_bytes())), self.now)
    }

    pub(crate) fn refuse(&mut self, node: NodeId, line: &str) {
        self.try_refuse(node, line).unwrap();
    }

    pub(crate) fn settled(&mut self) -> Vec<u8> {
        std::iter::from_fn(|| self.inner.settled()).collect()
    }

    pub(crate) fn lost(&mut self) -> Vec<String> {
        let text = |lost: &Lost| lost.keys().next().unwrap_or_default().escape_ascii().to_string();
        self.inner.take_lost().iter().map(text).collect()
    }

    pub(crate) fn refusals(&mut self) -> Vec<String> {
        self.inner.take_refusals().iter().map(ToString::to_string).collect()
    }

    /// After this many milliseconds.
    pub(crate) fn wait(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        self.inner.on_time(self.now);
    }
}

fn batch(lines: &[&str]) -> CommandBatch {
    let mut batch = CommandBatch::default();
    for line in lines {
        batch.push_keyed(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>(), 1..2, TAG);
    }
    batch
}

#[test]
fn moved_is_for_good() {
    let mut window = Window::new();
    window.plain(1, &["SET a 1"]);
    assert_eq!(window.sent(A), ["SET a 1"]);
    window.refuse(A, "MOVED 100 h:7001");
    window.plain(2, &["SET b 2"]);
    assert_eq!((window.sent(A), window.sent(B)), (vec![], vec!["SET a 1".to_owned(), "SET b 2".to_owned()]));
    assert!(window.inner.is_stale());
    window.done(B, 2);
    assert_eq!((window.settled(), window.inner.map().owner(SLOT)), (vec![1, 2], Some(B)));
}

/// Its units may be answered before the next comes.
#[test]
fn a_batch_settles_once_it_is_complete() {
    let mut window = Window::new();
    let open = window.inner.open_batch(1);
    assert!(!window.inner.is_empty());
    for line in ["SET a 1", "SET b 1"] {
        window.inner.add(&open, [Unit::plain(SLOT, &mut batch(&[line]))]);
        assert_eq!(window.sent(A), [line]);
        window.done(A, 1);
        assert_eq!(window.settled(), []);
    }
    window.plain(2, &["SET c 1"]);
    window.inner.close_batch(open);
    assert_eq!(window.settled(), [1]);
}

#[test]
fn ask_is_for_once() {
    let mut window = Window::new();
    window.plain(1, &["SET a 1", "SET b 2"]);
    window.plain(2, &["SET c 3"]);
    window.sent(A);
    (0..3).for_each(|_| window.refuse(A, "ASK 100 h:7001"));
    assert_eq!(window.sent(B), ["ASKING", "SET a 1", "ASKING", "SET b 2", "ASKING", "SET c 3"]);
    window.plain(3, &["SET d 4"]);
    assert_eq!((window.sent(A), window.settled()), (vec![], vec![]));
    window.done(B, 4);
    assert_eq!((window.sent(A), window.settled()), (vec![], vec![1]));
    window.done(B, 2);
    assert_eq!((window.sent(A), window.settled()), (vec!["SET d 4".to_owned()], vec![2]));
    assert!(!window.inner.is_stale());
}

#[test]
fn a_transaction_is_asked_as_a_whole() {
    for refusals in [&["", "ASK 100 h:7001", "", "EXECABORT x"][..], &["", "", "", "ASK 100 h:7001"]] {
        let mut window = Window::new();
        window.transaction(1, "INCR a");
        assert_eq!(window.sent(A), ["MULTI", "INCR a", "HSET p f 7", "EXEC"]);
        for line in refusals {
            if line.is_empty() { window.done(A, 1) } else { window.refuse(A, line) }
        }
        assert_eq!(window.sent(B), ["ASKING", "MULTI", "INCR a", "HSET p f 7", "EXEC"]);
        window.done(B, 5);
        assert_eq!((window.settled(), window.refusals(), window.lost()), (vec![1], vec![], vec![]));
    }
}

#[test]
fn what_passes_is_sent_again_behind_a_pause() {
    for (line, is_stale) in [
        ("TRYAGAIN x", false),
        ("LOADING x", false),
        ("BUSY x", false),
        ("OOM x", false),
        ("MISCONF x", false),
        ("NOREPLICAS x", false),
        ("CLUSTERDOWN x", true),
        ("READONLY x", true),
        ("MASTERDOWN x", true),
        ("MOVED 100 ?:7001", true),
        ("ASK 100 ?:7001", true),
    ] {
        let mut window = Window::new();
        window.plain(1, &["SET a 1"]);
        for pause in [10, 20, 35, 35] {
            assert_eq!(window.sent(A), ["SET a 1"], "{line}");
            window.refuse(A, line);
            assert_eq!(window.inner.next_time(), Some(window.now + Duration::from_millis(pause)), "{line}");
            window.wait(pause - 1);
            assert_eq!(window.sent(A), [""; 0], "{line}");
            window.wait(1);
        }
        assert_eq!(window.inner.is_stale(), is_stale, "{line}");
        window.sent(A);
        window.done(A, 1);
        assert_eq!((window.settled(), window.inner.next_time()), (vec![1], None), "{line}");
    }
}

#[test]
fn exec_that_is_refused_for_itself_says_why() {
    let mut window = Window::new();
    window.transaction(1, "INCR a");
    window.sent(A);
    window.done(A, 3);
    window.refuse(
        A,
        "EXECABORT Transaction discarded because of: LOADING Redis is loading the dataset in memory",
    );
    window.wait(10);
    assert_eq!(window.sent(A).len(), 4);
}

/// P5: what is refused for itself is told, and what stands beside it settles.
#[test]
fn a_refused_command_is_handed_out() {
    let mut window = Window::new();
    window.plain(1, &["SET a 1", "SADD b 2", "SET c 3"]);
    window.done(A, 1);
    window.refuse(A, "WRONGTYPE x");
    window.done(A, 1);
    assert_eq!((window.settled(), window.refusals()), (vec![1], vec!["SADD \"b\": WRONGTYPE x".to_owned()]));
    window.transaction(2, "LSET d 0 1");
    window.done(A, 3);
    let errors = vec![(0, ServerError::parse(b"ERR no such key"))];
    window.inner.on_outcome(A, Outcome::RefusedInside { count: 2, errors }, window.now).unwrap();
    assert_eq!(
        (window.settled(), window.refusals()),
        (vec![2], vec!["LSET \"d\": ERR no such key".to_owned()])
    );
}

/// P5: what no retry helps with ends the run, with the command named.
#[test]
fn what_no_retry_helps_with_is_an_error() {
    for line in ["NOAUTH x", "NOPERM x"] {
        let mut window = Window::new();
        window.plain(1, &["SET a 1"]);
        assert_eq!(
            window.try_refuse(A, line).unwrap_err().to_string(),
            format!("the target refuses SET \"a\": {line}")
        );
        assert_eq!(window.settled(), []);
    }
    for (place, line) in [(0, "NOPERM x"), (1, "ERR unknown command"), (2, "NOPERM x")] {
        let mut window = Window::new();
        window.transaction(1, "FOO a");
        window.done(A, place);
        let early = window.try_refuse(A, line);
        let error = if place == 0 {
            early
        } else {
            window.done(A, 2 - place);
            window.try_refuse(A, "EXECABORT x")
        };
        let name = ["MULTI", "FOO \"a\"", "HSET \"p\""][place];
        assert_eq!(error.unwrap_err().to_string(), format!("the target refuses {name}: {line}"));
    }
    let mut window = Window::new();
    window.plain(1, &["SET a 1"]);
    window.refuse(A, "ASK 100 h:7001");
    assert_eq!(
        window.try_refuse(B, "NOPERM x").unwrap_err().to_string(),
        "the target refuses ASKING: NOPERM x"
    );
    assert_eq!(window.inner.on_outcome(NodeId(2), Outcome::Done, window.now), Err(WindowError::Unasked));
}

/// The node that a slot goes to is loading, or busy: the command behind ASKING says the same, and goes again.
#[test]
fn asking_is_refused_for_now() {
    let mut window = Window::new();
    window.plain(1, &["SET a 1"]);
    window.refuse(A, "ASK 100 h:7001");
    assert_eq!(window.sent(B), ["ASKING", "SET a 1"]);
    window.refuse(B, "LOADING x");
    window.refuse(B, "LOADING x");
    window.sent(A);
    window.wait(40);
    assert_eq!(window.sent(A), ["SET a 1"]);
    window.done(A, 1);
    assert_eq!((window.settled(), window.lost()), (vec![1], vec![]));
}

/// A node that names another slot was asked for a key that the unit's slot does not have.
#[test]
fn a_unit_of_another_slot_is_an_error() {
    let mut window = Window::new();
    window.plain(1, &["SET a 1"]);
    assert!(matches!(window.try_refuse(A, "MOVED 5 h:7001"), Err(WindowError::Refused(_))));
}

#[test]
fn a_held_slot_waits_for_all_its_replies() {
    let mut window = Window::new();
    window.plain(1, &["SET a 1"]);
    window.plain(2, &["SET b 2"]);
    window.sent(A);
    window.refuse(A, "MOVED 100 h:7001");
    window.plain(3, &["SET c 3"]);
    window.inner.push([Unit::plain(OTHER, &mut batch(&["SET x 1"]))], 4);
    assert_eq!((window.sent(A), window.sent(B)), (vec!["SET x 1".to_owned()], vec![]));
    window.refuse(A, "MOVED 100 h:7001");
    assert_eq!(window.sent(B), ["SET a 1", "SET b 2", "SET c 3"]);
    window.done(A, 1);
    assert_eq!(window.settled(), []);
    window.done(B, 3);
    assert_eq!((window.settled(), window.lost()), (vec![1, 2, 3, 4], vec![]));
}

#[test]
fn an_overtaken_command_is_lost_with_all_behind_it() {
    let mut window = Window::new();
    window.plain(1, &["SET a 1", "DEL b c", "SET d 1"]);
    window.plain(2, &["SADD e 1", "DEL f g"]);
    window.sent(A);
    window.done(A, 1);
    window.refuse(A, "TRYAGAIN x");
    window.done(A, 1);
    window.refuse(A, "WRONGTYPE x");
    assert_eq!((window.settled(), window.lost()), (vec![], vec![]));
    window.refuse(A, "TRYAGAIN x");
    assert_eq!(
        (window.settled(), window.lost()),
        (vec![1, 2], vec!["b".to_owned(), "d".to_owned(), "f".to_owned()])
    );
    assert_eq!(window.refusals(), ["SADD \"e\": WRONGTYPE x"]);
    assert!(window.inner.is_empty() && window.inner.has_room());
}

/// The position of a transaction says that all before it was carried out, so nothing of its slot is on its way beside it.
#[test]
fn a_transaction_goes_alone() {
    let mut window = Window::new();
    window.plain(1, &["SET a 1"]);
    window.transaction(2, "INCR b");
    window.transaction(3, "INCR c");
    window.plain(4, &["SET d 1"]);
    for (line, count) in [("SET a 1", 1), ("MULTI", 4), ("MULTI", 4), ("SET d 1", 1)] {
        let sent = window.sent(A);
        assert_eq!((sent[0].as_str(), sent.len()), (line, count));
        window.done(A, count);
    }
    assert_eq!(window.settled(), [1, 2, 3, 4]);
}

#[test]
fn a_broken_connection_leaves_doubt_until_positions_are_read() {
    for (position, again) in [(6, true), (7, false), (8, false)] {
        let mut window = Window::new();
        window.transaction(7, "INCR a");
        window.plain(8, &["SET b 1"]);
        window.inner.push([Unit::plain(OTHER, &mut batch(&["SET x 1", "SET y 1"]))], 9);
        window.sent(A);
        window.done(A, 4 - 1);
        window.inner.on_broken(A);
        assert_eq!((window.inner.is_in_doubt(A), window.inner.in_doubt(A)), (true, vec![SLOT]));
        window.inner.on_open(A);
        assert_eq!(window.sent(A), [""; 0]);
        window.inner.on_positions(A, &BTreeMap::from([(SLOT, position)]), window.now);
        let mut sent = window.sent(A);
        sent.sort();
        let expected: &[&str] = match again {
            true => &["EXEC", "HSET p f 7", "INCR a", "MULTI", "SET x 1", "SET y 1"],
            false => &["SET b 1", "SET x 1", "SET y 1"],
        };
        assert_eq!(sent, expected, "{position}");
    }
}

#[test]
fn of_a_plain_unit_what_was_not_answered_is_sent_again() {
    let mut window = Window::new();
    window.plain(1, &["SET a 1", "SET b 1", "SET c 1"]);
    window.plain(2, &["SET d 1"]);
    window.sent(A);
    window.done(A, 1);
    window.inner.on_broken(A);
    assert_eq!(window.inner.in_doubt(A), []);
    window.inner.on_positions(A, &BTreeMap::new(), window.now);
    assert_eq!(window.inner.wanted().collect::<Vec<_>>(), [A]);
    window.inner.on_open(A);
    assert_eq!(window.sent(A), ["SET b 1", "SET c 1", "SET d 1"]);
    // One that was refused, and one behind it that may have been carried out.
    window.refuse(A, "TRYAGAIN x");
    window.inner.on_broken(A);
    window.inner.on_positions(A, &BTreeMap::new(), window.now);
    assert_eq!(
        (window.lost(), window.settled()),
        (vec!["b".to_owned(), "c".to_owned(), "d".to_owned()], vec![1, 2])
    );
}

#[test]
fn a_node_that_is_replaced_hands_over_what_it_was_asked() {
    let mut cluster = Cluster::new(3);
    let mut window = Window::new();
    window.plain(1, &["SET a 1"]);
    window.inner.on_broken(A);
    cluster.replace(0, 1);
    window.inner.on_topology(&cluster.topology(), "h");
    assert_eq!(window.inner.take_replaced(), BTreeSet::from([A]));
    assert_eq!(window.sent(B), [""; 0]);
    window.inner.on_positions(A, &BTreeMap::new(), window.now);
    assert_eq!(window.sent(B), ["SET a 1"]);
}

#[test]
fn nodes_that_disagree_are_not_asked_without_pause() {
    let mut window = Window::new();
    window.plain(1, &["SET a 1"]);
    let mut turns = 0;
    while window.inner.next_time().is_none() {
        let (from, to) = if turns % 2 == 0 { (A, 7001) } else { (B, 7000) };
        assert_eq!(window.sent(from), ["SET a 1"]);
        window.refuse(from, &format!("MOVED 100 h:{to}"));
        turns += 1;
    }
    assert_eq!(turns, 5);
}

#[test]
fn limits_are_for_all_nodes_together() {
    let mut window = Window::new();
    window.inner.push([], 0);
    assert_eq!((window.settled(), window.inner.is_half_full()), (vec![0], false));
    window.plain(1, &["SET a 1"; 4]);
    window.inner.push([], 2);
    window.inner.push([Unit::plain(Slot(9000), &mut batch(&["SET x 1"; 5]))], 3);
    assert_eq!((window.inner.has_room(), window.inner.is_half_full()), (true, true));
    window.transaction(4, "INCR a");
    assert!(!window.inner.has_room());
    window.done(A, 4);
    assert_eq!((window.settled(), window.inner.has_room()), (vec![1, 2], true));
    window.done(B, 5);
    window.done(A, 4);
    assert_eq!((window.settled(), window.inner.is_empty()), (vec![3, 4], true));
}

/// Nodes without a connection are named, and nothing is sent there.
#[test]
fn nodes_are_opened_on_need() {
    let map = ClusterMap::new(&Cluster::new(3).topology(), "h").unwrap();
    let mut window = ClusterWindow::new(WindowLimits::default(), Pauses::default(), map);
    window.push([Unit::plain(SLOT, &mut batch(&["SET a 1"]))], 1);
    assert_eq!((window.wanted().collect::<Vec<_>>(), window.outgoing(A).is_empty()), (vec![A], true));
    window.on_open(A);
    assert_eq!((window.wanted().count(), window.outgoing(A).is_empty()), (0, false));
}
