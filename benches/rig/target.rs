//! The Redis that is written to, and `redis-cli --pipe` into it.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dfly_rdb::payload::{TargetFormat, parse_dump, write_dump};
use dfly_testkit::{RedisClient, Reply};
use redis_resp::CommandBatch;

/// The hash in which the tool stores its positions (docs/guarantees.md).
pub const CHECKPOINT: &[u8] = b"df2redis:checkpoint";

/// How often the target is asked for positions while a measurement runs.
pub const POLL: Duration = Duration::from_millis(5);

/// No measurement takes longer.
pub const LIMIT: Duration = Duration::from_secs(300);

/// Has `redis-cli --pipe` send the commands in a file.
pub fn pipe(server: SocketAddr, file: &Path) -> Result<()> {
    let output = Command::new("redis-cli")
        .args(["-h", &server.ip().to_string(), "-p", &server.port().to_string(), "--pipe"])
        .stdin(Stdio::from(File::open(file)?))
        .output()
        .context("redis-cli cannot be run")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success() && said.contains("errors: 0"), "redis-cli --pipe: {said}");
    Ok(())
}

/// The next record wanted of each flow, once every flow has one.
fn positions(client: &mut RedisClient) -> Result<Option<Vec<u64>>> {
    let reply = client.expect(&[b"HGETALL", CHECKPOINT])?;
    let words: Vec<String> = reply.array().unwrap_or_default().iter().filter_map(Reply::text).collect();
    let pairs: &[[String; 2]] = words.as_chunks().0;
    let fields: BTreeMap<&str, &str> =
        pairs.iter().map(|[name, value]| (name.as_str(), value.as_str())).collect();
    let flows: u16 = fields.get("flows").and_then(|flows| flows.parse().ok()).unwrap_or(0);
    let position = |flow| fields.get(format!("flow:{flow}").as_str())?.split(' ').next()?.parse().ok();
    Ok((0..flows).map(position).collect::<Option<Vec<u64>>>().filter(|found| !found.is_empty()))
}

/// Whether the target stores a position of every flow, each at least that of `wanted`.
pub fn has(client: &mut RedisClient, wanted: &[u64]) -> Result<bool> {
    let found = positions(client)?;
    Ok(found.is_some_and(|found| wanted.iter().zip(&found).all(|(wanted, found)| found >= wanted)))
}

/// Waits until [`has`] holds.
pub fn wait_for(client: &mut RedisClient, wanted: &[u64]) -> Result<()> {
    let began = Instant::now();
    while !has(client, wanted)? {
        ensure!(Instant::now() - began < LIMIT, "the tool has not come to {wanted:?} within {LIMIT:?}");
        thread::sleep(POLL);
    }
    Ok(())
}

/// How many keys there are, without the tool's own.
pub fn keys(client: &mut RedisClient) -> Result<i64> {
    let all = client.expect(&[b"DBSIZE"])?.int().context("no number")?;
    let own = client.expect(&[b"KEYS", b"df2redis:*"])?;
    Ok(all - i64::try_from(own.array().context("no keys")?.len())?)
}

/// The form in which a server takes payloads.
pub fn format(client: &mut RedisClient) -> Result<TargetFormat> {
    let info = client.expect(&[b"INFO", b"server"])?.text().unwrap_or_default();
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).context("no version")?;
    Ok(format!("redis-{version}").parse()?)
}

/// The commands that the tool writes for the collections of a source: RESTORE with its encodings where the target knows
/// them.
pub fn restores(source: &mut RedisClient, keys: &[Vec<u8>], format: &TargetFormat) -> Result<CommandBatch> {
    let (mut out, mut payload) = (CommandBatch::default(), Vec::new());
    for part in keys.chunks(10_000) {
        let dumps: Vec<Vec<&[u8]>> = part.iter().map(|key| vec![&b"DUMP"[..], key]).collect();
        for (key, dump) in part.iter().zip(source.pipeline(&dumps)?) {
            let value = parse_dump(dump.bytes().context("no payload")?)?;
            payload.clear();
            write_dump(&value, format, &mut payload)?;
            out.push(&[b"RESTORE", key, b"0", &payload, b"REPLACE", b"ABSTTL"]);
        }
    }
    Ok(out)
}
