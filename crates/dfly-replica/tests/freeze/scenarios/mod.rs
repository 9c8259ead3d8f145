//! Scripted sources, each to a single server and to a cluster of three nodes.

mod expiry;
mod flushes;
mod refetched;
mod refusals;
mod relayed;
mod resumed;
mod starts;

use dfly_testkit::{Op, Script};

/// A server, and a cluster.
const TARGETS: [usize; 2] = [1, 3];

/// A little of each type.
fn a_little(flows: usize) -> Script {
    [
        "SET s text",
        "SET n 41",
        "RPUSH l a b c",
        "HSET h f v g w",
        "SADD t a b 1",
        "ZADD z 1.5 a 2 b",
        "XADD x 1-1 f v",
        "SET v text PXAT 1990000000000",
    ]
    .into_iter()
    .fold(Script::new(flows), |script, line| script.before(line))
}

/// Records each of which shows if it is carried out twice, or not at all.
const ONCE: [&str; 8] = [
    "INCR n",
    "APPEND s x",
    "RPUSH l d",
    "LPOP l",
    "ZINCRBY z 1.5 a",
    "HINCRBY h c 7",
    "RENAME l l2",
    "RENAME l2 l",
];

fn raw(line: &str) -> Op {
    Op::line(line).raw()
}
