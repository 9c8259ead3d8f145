//! Commands of several keys in a slot that moves.

use crate::rows::{A, B, Window};
use crate::split;

/// A node accepts no command of keys that are at both nodes, or not there yet, until the slot has moved, which an operator may
/// leave undone. One key is always at one of them.
#[test]
fn a_command_of_several_keys_is_taken_apart() {
    for (refusal, node) in [("TRYAGAIN x", A), ("ASK 100 h:7001", B)] {
        let mut window = Window::new();
        window.inner = window.inner.with_split(Some(split()));
        window.plain(1, &["MSET a 1 b 2 a 3"]);
        window.plain(2, &["SET c 3"]);
        assert_eq!(window.sent(A), ["MSET a 1 b 2 a 3", "SET c 3"]);
        window.refuse(A, refusal);
        window.refuse(A, "ASK 100 h:7001");
        window.wait(10);
        let asking = |line: &'static str| if node == B { vec!["ASKING", line] } else { vec![line] };
        let parts = ["SET a 1", "SET b 2", "SET a 3"].map(asking).concat();
        let behind = if node == B { vec!["ASKING", "SET c 3"] } else { vec![] };
        assert_eq!(window.sent(node), [parts.clone(), behind].concat());
        window.done(node, parts.len());
        assert_eq!((window.settled(), window.lost()), (vec![1], vec![]));
    }
}

/// A command that nobody can take apart waits, and so does a transaction.
#[test]
fn what_stays_whole_waits() {
    let mut window = Window::new();
    window.inner = window.inner.with_split(Some(split()));
    window.plain(1, &["DEL a b"]);
    window.transaction(2, "MSET a 1 b 2");
    for _ in 0..3 {
        assert_eq!(window.sent(A), ["DEL a b"]);
        window.refuse(A, "TRYAGAIN x");
        window.wait(35);
    }
    window.sent(A);
    window.done(A, 1);
    assert_eq!(window.sent(A), ["MULTI", "MSET a 1 b 2", "HSET p f 7", "EXEC"]);
    (0..3).for_each(|_| window.done(A, 1));
    window.refuse(A, "TRYAGAIN x");
    window.wait(35);
    assert_eq!(window.sent(A), ["MULTI", "MSET a 1 b 2", "HSET p f 7", "EXEC"]);
    window.done(A, 4);
    assert_eq!(window.settled(), [1, 2]);
}
