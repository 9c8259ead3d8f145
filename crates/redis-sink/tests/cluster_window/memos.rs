//! Notes about what is given up.

use redis_sink::cluster::Memo;

use crate::rows::{A, TAG, Window};

/// What is given up is noted before anything else of the slot, a transaction above all, and until then nothing settles.
#[test]
fn what_is_given_up_is_noted_first() {
    let mut window = Window::new();
    let memo = Memo::new(|command, out| {
        assert_eq!(command.tag(), TAG);
        for key in command.keys() {
            out.push_keyed(&[b"SADD", b"noted", key], 1..2, 0);
        }
    });
    window.inner = window.inner.with_memo(Some(memo));
    window.plain(1, &["SET a 1", "SET b 1"]);
    window.transaction(2, "INCR c");
    window.sent(A);
    window.refuse(A, "ASK 100 h:7001");
    window.done(A, 1);
    assert_eq!((window.lost(), window.settled()), (vec!["a".to_owned(), "b".to_owned()], vec![]));
    assert_eq!(window.sent(A), ["SADD noted a", "SADD noted b"]);
    window.done(A, 2);
    assert_eq!(
        (window.settled(), window.sent(A)),
        (vec![1], words(&["MULTI", "INCR c", "HSET p f 7", "EXEC"]))
    );
    window.done(A, 4);
    window.plain(3, &["SADD d 1"]);
    window.transaction(4, "INCR e");
    window.sent(A);
    window.refuse(A, "WRONGTYPE x");
    assert_eq!(window.sent(A), ["SADD noted d"]);
    window.done(A, 1);
    assert_eq!((window.settled(), window.refusals().len()), (vec![2, 3], 1));
    assert_eq!(window.sent(A).len(), 4);
}

fn words(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}
