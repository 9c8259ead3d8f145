//! How fast a comparison is beside bare pipelined reads of both sides, and how much memory it takes.
//!
//! `cargo test -p dfly-check --test check -- --ignored --nocapture speed`

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use dfly_check::{CheckConfig, Outcome};
use dfly_testkit::{RedisClient, RedisOptions, RedisServer};

use crate::in_step::{Played, run as in_step, telling};
use crate::sides::{Sides, check, config};

fn populated(keys: u32) -> RedisServer {
    let server = RedisServer::start(RedisOptions { debug_command: true, ..RedisOptions::default() }).unwrap();
    let count = keys.to_string();
    server.client().unwrap().expect(&[b"DEBUG", b"POPULATE", count.as_bytes(), b"key", b"32"]).unwrap();
    server
}

/// The most memory that this process has had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The order in which keys are read.
#[derive(Debug, Clone, Copy)]
enum Order {
    /// As they were written: neighbours lie beside each other in the server's memory.
    Written,
    /// As they lie in the server's table, for SCAN and for clients: anywhere.
    Scattered,
}

impl Order {
    fn names(self, keys: u32) -> impl Iterator<Item = u32> {
        // A prime, which divides no number of keys here.
        let step = if let Self::Written = self { 1 } else { 611_953 };
        (0..u64::from(keys)).map(move |nth| u32::try_from(nth * step % u64::from(keys)).unwrap())
    }
}

/// Gets every key of both sides, over two connections each.
fn bare(addresses: [SocketAddr; 2], order: Order, keys: u32) -> Duration {
    let began = Instant::now();
    let readers: Vec<_> = addresses
        .into_iter()
        .flat_map(|address| [(address, 0), (address, 1)])
        .map(|(address, half)| {
            thread::spawn(move || {
                let mut client = RedisClient::connect(address).unwrap();
                let names: Vec<u32> = order.names(keys).filter(|nth| nth % 2 == half).collect();
                for names in names.chunks(512) {
                    let ask = |nth: &u32| vec!["GET".to_owned(), format!("key:{nth}")];
                    assert_eq!(
                        client.pipeline(&names.iter().map(ask).collect::<Vec<_>>()).unwrap().len(),
                        names.len()
                    );
                }
            })
        })
        .collect();
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    Instant::now() - began
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

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, which takes a minute"]
async fn speed() {
    const KEYS: u32 = 1_000_000;
    let (source, target) = (populated(KEYS), populated(KEYS));
    let before = peak();
    let began = Instant::now();
    let config = CheckConfig { connections: 4, ..config(source.address(), target.address()) };
    let checked = check(config).await;
    let took = Instant::now() - began;
    assert_eq!((checked.summary.outcome(), checked.summary.equal), (Outcome::Equal, u64::from(KEYS)));
    let more = peak() - before;
    println!("{KEYS} strings: {took:?}, {more} KiB more memory");
    for order in [Order::Written, Order::Scattered] {
        let bare = bare([source.address(), target.address()], order, KEYS);
        let ratio = bare.as_secs_f64() / took.as_secs_f64();
        println!("bare GET of both sides, {order:?}: {bare:?}, {ratio:.2} of it");
    }
    assert!(more < 100 << 10, "{more} KiB");
}
