//! What the tool holds, through a slow target: a large string, a large list, and many values beside them.
//! `make test-memory` for sizes that do not fit into the limit many times over.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use dfly_testkit::{MasterOptions, Op, RedisClient, RedisOptions, RedisServer, Script, ScriptedMaster};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until, timeout};

use crate::binary::{spawn, spawn_quiet, stop};

/// The program itself, its runtime, and what the allocator keeps, in MiB.
const BESIDES: usize = 16;

const MIB: usize = 1 << 20;

/// What the source holds, and what the tool may take.
struct Sizes {
    string: usize,
    list: usize,
    /// Strings of 1 MiB.
    others: usize,
    /// In MiB.
    limit: usize,
    /// Bytes a second that the target takes.
    pace: usize,
}

fn sizes() -> Sizes {
    match option_env!("MEMORY_LARGE") {
        Some(_) => Sizes { string: 600 * MIB, list: 5_000_000, others: 1300, limit: 256, pace: 100 * MIB },
        None => Sizes { string: 30 * MIB, list: 100_000, others: 70, limit: 32, pace: 40 * MIB },
    }
}

/// A master with all that. The values do not compress.
fn script(sizes: &Sizes) -> Script {
    let mut script = Script::new(2).before(set("big:string", sizes.string, 1));
    for first in (0..sizes.list).step_by(10_000) {
        let elements = (first..first + 10_000).map(|i| Bytes::from(format!("element:{i:012}")));
        let words = [Bytes::from_static(b"RPUSH"), Bytes::from_static(b"big:list")];
        script = script.before(Op::new(words.into_iter().chain(elements)));
    }
    (0..sizes.others).fold(script, |script, i| script.before(set(&format!("other:{i}"), MIB, i as u64 + 2)))
}

fn set(key: &str, size: usize, seed: u64) -> Op {
    Op::new([Bytes::from_static(b"SET"), Bytes::copy_from_slice(key.as_bytes()), noise(size, seed)])
}

fn noise(size: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(word).take(size / 8).flatten().collect::<Vec<u8>>().into()
}

/// Passes connections on to `target`, each at no more than `pace` bytes a second.
async fn slow_way(target: SocketAddr, pace: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (mut replies_out, server) = (client, TcpStream::connect(target).await.unwrap());
            let (mut replies_in, mut requests_out) = server.into_split();
            tokio::spawn(async move {
                let (mut requests_in, mut replies_out) = replies_out.split();
                let replies = copy(&mut replies_in, &mut replies_out);
                let requests = paced(&mut requests_in, &mut requests_out, pace);
                // Either end may be closed first.
                let _ended = tokio::join!(replies, requests);
            });
        }
    });
    address
}

async fn paced(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    pace: usize,
) -> std::io::Result<()> {
    let (mut buffer, mut due) = (vec![0; 64 << 10], Instant::now());
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        due = due.max(Instant::now()) + Duration::from_secs_f64(read as f64 / pace as f64);
        sleep_until(due).await;
        to.write_all(buffer.get(..read).unwrap()).await?;
    }
}

/// The most that a process has had resident, in MiB.
fn peak(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() >> 10
}

fn int(client: &mut RedisClient, command: &[&[u8]]) -> usize {
    usize::try_from(client.expect(command).unwrap().int().unwrap()).unwrap()
}

fn target() -> RedisServer {
    let args = ["--proto-max-bulk-len", "2gb"].map(str::to_owned).into();
    RedisServer::start(RedisOptions { args, ..RedisOptions::default() }).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_is_kept_through_a_slow_target() {
    let sizes = sizes();
    let redis = target();
    let master = ScriptedMaster::start(script(&sizes), MasterOptions::default()).await.unwrap();
    let way = slow_way(redis.address(), sizes.pace).await;
    let (source, target) = (format!("dragonfly://{}", master.address()), format!("redis://{way}"));
    let limit = format!("{}MiB", sizes.limit);
    let tool = spawn_quiet(&[
        "replicate",
        "--source",
        &source,
        "--target",
        &target,
        "--memory-limit",
        &limit,
        "--log-level",
        "error",
    ]);
    let caught_up = timeout(Duration::from_secs(300), master.caught_up()).await;
    assert!(caught_up.is_ok(), "not caught up: {:?}", master.violations());
    let peak = peak(tool.id());
    println!("{peak} MiB at the most, with a limit of {limit}");
    let (status, log) = stop(tool, Signal::INT);
    assert_eq!(status.code(), Some(0), "{log}");
    let mut client = redis.client().unwrap();
    assert_eq!(int(&mut client, &[b"LLEN", b"big:list"]), sizes.list);
    let own = client.expect(&[b"KEYS", b"df2redis:*"]).unwrap();
    let own = own.array().unwrap().len();
    assert_eq!(int(&mut client, &[b"DBSIZE"]), sizes.others + 2 + own, "{own} of them are the tool's");
    let found = client.expect(&[b"GET", b"big:string"]).unwrap().bytes().unwrap();
    assert!(found == noise(sizes.string, 1), "the string is another");
    assert!(peak <= sizes.limit + BESIDES, "{peak} MiB with a limit of {limit}");
}

/// C36: what cannot be streamed, a record of the journal, is named, and so is the limit that would do.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_over_the_limit_is_a_clear_error() {
    let redis = target();
    let master = ScriptedMaster::start(Script::new(1), MasterOptions::default()).await.unwrap();
    let (source, target) = (format!("dragonfly://{}", master.address()), redis.url());
    let tool = spawn(&["replicate", "--source", &source, "--target", &target, "--memory-limit", "16MiB"]);
    timeout(Duration::from_secs(30), master.stable()).await.unwrap();
    master.apply(set("fits", 3 * MIB, 1)).unwrap();
    timeout(Duration::from_secs(30), master.caught_up()).await.unwrap();
    master.apply(set("does not fit", 5 * MIB, 1)).unwrap();
    let output = tokio::task::spawn_blocking(|| tool.wait_with_output().unwrap()).await.unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("of key \"does not fit\", of more than 4194304 bytes"), "{log}");
    assert!(log.contains("--memory-limit 21MiB may be enough"), "{log}");
    assert_eq!(int(&mut redis.client().unwrap(), &[b"STRLEN", b"fits"]), 3 * MIB);
}
