//! Estimates beside the truth: what the target takes once everything is there.

use std::time::{Duration, Instant};

use dfly_prepare::Check;
use dfly_replica::{Engine, Stop};
use dfly_testkit::Script;
use tokio::sync::watch;

use crate::pair::{Pair, prepare};

/// Numbers that come again.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    fn word(&mut self, most: u64) -> String {
        let length = 3 + self.below(most);
        (0..length).map(|_| char::from(b'a' + u8::try_from(self.below(26)).unwrap())).collect()
    }

    fn words(&mut self, count: u64, most: u64) -> String {
        (0..count).map(|_| self.word(most)).collect::<Vec<_>>().join(" ")
    }
}

fn strings() -> Script {
    let mut numbers = Numbers(1);
    (0..20_000).fold(Script::new(3), |script, n| {
        let value = numbers.word(300);
        script.before(format!("SET strings:{n} {value}").as_str())
    })
}

fn small_collections() -> Script {
    let mut numbers = Numbers(2);
    (0..8000).fold(Script::new(3), |script, n| {
        // The model gives its keys in the order of their names.
        let (name, count) = (format!("{:x}-{n}", numbers.below(1 << 30)), 1 + numbers.below(40));
        let line = match n % 4 {
            0 => format!("HSET {name} {}", pairs(&mut numbers, count)),
            1 => format!("RPUSH {name} {}", numbers.words(count, 40)),
            2 => format!("SADD {name} {}", numbers.words(count, 20)),
            _ => format!("ZADD {name} {}", scored(&mut numbers, count)),
        };
        script.before(line.as_str())
    })
}

fn large_collections() -> Script {
    let mut numbers = Numbers(3);
    (0..60).fold(Script::new(3), |script, n| {
        let (name, count) = (format!("{:x}-{n}", numbers.below(1 << 30)), 600 + numbers.below(2000));
        let line = match n % 4 {
            0 => format!("HSET {name} {}", pairs(&mut numbers, count)),
            1 => format!("RPUSH {name} {}", numbers.words(count, 60)),
            2 => format!("SADD {name} {}", numbers.words(count, 20)),
            _ => format!("ZADD {name} {}", scored(&mut numbers, count)),
        };
        script.before(line.as_str())
    })
}

fn pairs(numbers: &mut Numbers, count: u64) -> String {
    (0..count).map(|n| format!("field{n} {}", numbers.word(40))).collect::<Vec<_>>().join(" ")
}

fn scored(numbers: &mut Numbers, count: u64) -> String {
    (0..count).map(|n| format!("{n}.5 {}", numbers.word(20))).collect::<Vec<_>>().join(" ")
}

fn used_memory(pair: &Pair) -> f64 {
    let info = pair.redis.client().unwrap().expect(&[b"INFO", b"memory"]).unwrap().text().unwrap();
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    used.unwrap().trim().parse().unwrap()
}

/// Memory on the target and keys by type, each within 20 %, for three sets of data.
#[tokio::test(flavor = "multi_thread")]
async fn memory_and_types() {
    for (name, script) in
        [("strings", strings()), ("small", small_collections()), ("large", large_collections())]
    {
        let pair = Pair::new(script, &["--appendonly", "no"]).await;
        let before = used_memory(&pair);
        let began = Instant::now();
        let estimates = prepare(pair.config()).run().await.estimates.unwrap();
        let took = Instant::now().duration_since(began);
        let (engine, _reports) = Engine::new(pair.config());
        let (stop, stopped) = watch::channel(Stop::Running);
        let run = tokio::spawn(engine.run(stopped));
        pair.master.caught_up().await;
        let truth = used_memory(&pair) - before;
        stop.send_replace(Stop::Drain);
        run.await.unwrap().unwrap();
        let estimate = f64::from(u32::try_from(estimates.target_bytes.unwrap()).unwrap());
        let ratio = estimate / truth;
        assert!((0.8..1.2).contains(&ratio), "{name}: {estimate} beside {truth}, {took:?}");
        let counted: u64 = estimates.types.values().map(|kind| kind.keys).sum();
        assert!(counted.abs_diff(estimates.keys) * 5 <= estimates.keys, "{name}: {estimates:?}");
        for (kind, of) in &estimates.types {
            let true_share = if estimates.types.len() == 1 { estimates.keys } else { estimates.keys / 4 };
            assert!(
                of.keys.abs_diff(true_share) * 5 <= true_share,
                "{name} {kind}: {of:?} beside {true_share}"
            );
        }
    }
}

/// Many keys of one kind: small strings, larger ones, small hashes.
fn many(kind: usize, keys: u64) -> Script {
    let mut numbers = Numbers(4);
    (0..keys).fold(Script::new(2), |script, n| {
        let name = format!("{:x}-{n}", numbers.below(1 << 30));
        let line = match kind {
            0 => format!("SET {name} {:032}", numbers.below(1 << 30)),
            1 => format!("SET {name} {:0300}", numbers.below(1 << 30)),
            _ => format!("HSET {name} {}", pairs(&mut numbers, 10)),
        };
        script.before(line.as_str())
    })
}

/// How long a run takes to write the snapshot, from its first keys on the target to its last.
async fn true_duration(pair: &Pair, keys: u64) -> f64 {
    let (engine, _reports) = Engine::new(pair.config());
    let (stop, stopped) = watch::channel(Stop::Running);
    let run = tokio::spawn(engine.run(stopped));
    let mut client = pair.redis.client().unwrap();
    let mut began = None;
    let took = loop {
        let there = client.expect(&[b"DBSIZE"]).unwrap().int().unwrap();
        if there > 100 {
            began.get_or_insert_with(Instant::now);
        }
        if u64::try_from(there).unwrap() >= keys {
            break began.map_or(0.0, |began| Instant::now().duration_since(began).as_secs_f64());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    stop.send_replace(Stop::Drain);
    run.await.unwrap().unwrap();
    took
}

/// The duration beside the truth, three times each: `cargo test -p dfly-prepare --test prepare -- --ignored duration --nocapture`,
/// on a machine with nothing else to do.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes, and a machine of its own"]
async fn duration() {
    for (kind, name, keys) in
        [(0, "32-byte strings", 600_000), (1, "300-byte strings", 400_000), (2, "small hashes", 200_000)]
    {
        for _ in 0..3 {
            let pair = Pair::new(many(kind, keys), &["--appendonly", "no"]).await;
            let mut measuring = prepare(pair.config());
            measuring.measures = true;
            let report = measuring.run().await;
            let estimate = report.estimates.unwrap().snapshot_seconds.unwrap();
            let truth = true_duration(&pair, keys).await;
            let told = report.findings.iter().find(|finding| finding.check == Check::Duration).unwrap();
            println!(
                "{name}: {estimate:.2} s beside {truth:.2} s, {:.0} %: {}",
                estimate / truth * 100.0,
                told.means
            );
        }
    }
}
