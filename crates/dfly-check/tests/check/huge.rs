//! Values of hundreds of megabytes, within the memory that small ones take.
//!
//! `cargo test --release -p dfly-check --test check -- --ignored --nocapture huge`

use std::time::Instant;

use dfly_check::Outcome;
use dfly_testkit::RedisClient;

use crate::in_step::{Played, run as in_step, telling};
use crate::sides::{Sides, check};

/// The most memory that this process has had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Two servers with a string of 600 MB and a set of 5 M members.
fn huge_values() -> Sides {
    let sides = Sides::standalone();
    let fill = "for i=ARGV[1],ARGV[2] do redis.call('SADD',KEYS[1],'member:'..i) end";
    for address in [sides.source.address(), sides.target.address()] {
        let mut client = RedisClient::connect(address).unwrap();
        client.expect(&[b"CONFIG", b"SET", b"proto-max-bulk-len", b"1gb"]).unwrap();
        client.expect(&[b"SETRANGE", b"string", b"600000000", b"end"]).unwrap();
        for part in 0..100 {
            let (from, to) = ((part * 50_000).to_string(), (part * 50_000 + 49_999).to_string());
            client.expect(&[b"EVAL", fill.as_bytes(), b"1", b"set", from.as_bytes(), to.as_bytes()]).unwrap();
        }
    }
    sides
}

fn make_different(sides: &Sides) {
    let mut target = RedisClient::connect(sides.target.address()).unwrap();
    target.expect(&[b"SETRANGE", b"string", b"599999999", b"x"]).unwrap();
    target.expect(&[b"SREM", b"set", b"member:4999999"]).unwrap();
    target.expect(&[b"SADD", b"set", b"other"]).unwrap();
}

/// Within the memory that a comparison of small values takes.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes minutes, and 2 GB for its servers"]
async fn huge_values_in_rounds() {
    let sides = huge_values();
    let (before, began) = (peak(), Instant::now());
    let checked = check(sides.config()).await;
    let took = Instant::now() - began;
    let found = (checked.summary.outcome(), checked.summary.equal);
    assert_eq!(found, (Outcome::Equal, 2), "{:?}", checked.findings);
    make_different(&sides);
    let checked = check(sides.config()).await;
    assert_eq!(checked.different().len(), 2, "{:?}", checked.findings);
    let more = peak() - before;
    println!("a string of 600 MB and a set of 5 M members in rounds: {took:?}, {more} KiB more memory");
    assert!(more < 100 << 10, "{more} KiB");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes minutes, and 2 GB for its servers"]
async fn huge_values_in_step() {
    let sides = huge_values();
    let (_source, config) = telling(&sides).await;
    let (before, began, played) = (peak(), Instant::now(), Played::default());
    let (summary, findings) = in_step(config.clone(), &played).await;
    let took = Instant::now() - began;
    assert_eq!((summary.outcome(), summary.equal), (Outcome::Equal, 2), "{findings:?}");
    make_different(&sides);
    let (summary, findings) = in_step(config, &played).await;
    assert_eq!((summary.different, summary.certain), (2, 2), "{findings:?}");
    let more = peak() - before;
    println!("a string of 600 MB and a set of 5 M members in step: {took:?}, {more} KiB more memory");
    assert!(more < 100 << 10, "{more} KiB");
}
