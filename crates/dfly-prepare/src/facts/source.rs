//! What the source says of itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dfly_replica::EngineConfig;
use redis_resp::Reply;
use redis_resp::connection::{ConnectionError, Endpoint};
use tokio::time::sleep;

use super::ask::{Asker, text_of};
use super::rights::refused;
use super::sampling::{Payloads, Sampling, sample};
use super::{SourceFacts, WriteRate};
use crate::info::Info;

/// Settings that say how the source behaves.
const SETTINGS: [&str; 8] = [
    "maxmemory",
    "timeout",
    "shard_repl_backlog_len",
    "shard_repl_backlog_time_ms",
    "command_alias",
    "rename_command",
    "cluster_mode",
    "dbnum",
];

/// Keys of a run before whose target the source was.
const RESERVED: [&str; 2] = ["df2redis:checkpoint", "df2redis@:tasks"];

/// Commands that are journaled, and write nothing themselves.
const NO_WRITES: [&str; 4] = ["SELECT", "PING", "MULTI", "EXEC"];

/// How long writes are counted.
const SECOND: Duration = Duration::from_secs(1);

/// How the facts are gathered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gathering {
    pub sampling: Sampling,
    /// Whether what takes seconds is done: writes are counted, round trips measured.
    pub is_patient: bool,
    pub now: fn() -> Instant,
}

/// Asks the source. `None`: it does not answer.
pub(crate) async fn source_facts(
    config: &EngineConfig,
    gathering: Gathering,
) -> Option<(SourceFacts, Payloads)> {
    let (endpoint, mut asker, info) = master(config).await?;
    let mut facts = SourceFacts {
        address: endpoint.to_string(),
        is_tls: endpoint.tls.is_some(),
        info,
        ..SourceFacts::default()
    };
    let mut payloads = Payloads::new();
    // Before anything else is asked: the questions about keys would count as what clients send.
    facts.writes = writes(&endpoint, gathering.is_patient).await;
    // What was heard before it broke is known.
    drop(ask(&mut asker, config, gathering, &mut facts, &mut payloads).await);
    Some((facts, payloads))
}

/// The first of the source's addresses that leads to a master; if none does, the first that answers.
async fn master(config: &EngineConfig) -> Option<(Endpoint, Asker, Info)> {
    let mut first = None;
    for endpoint in [&config.source].into_iter().chain(&config.other_sources) {
        for endpoint in endpoint.resolved().await.unwrap_or_default() {
            let Ok(mut asker) = Asker::open(&endpoint).await else { continue };
            let Ok(text) = asker.text(&["INFO"]).await else { continue };
            let info = Info::parse(&text);
            let is_master = info.text("role").is_none_or(|role| role == "master");
            let found = (endpoint, asker, info);
            if is_master {
                return Some(found);
            }
            first = first.or(Some(found));
        }
    }
    first
}

async fn ask(
    asker: &mut Asker,
    config: &EngineConfig,
    gathering: Gathering,
    facts: &mut SourceFacts,
    payloads: &mut Payloads,
) -> Result<(), ConnectionError> {
    facts.clock_ahead = asker.clock_ahead(&config.clock).await?;
    facts.refused = refused(asker, config.source.credentials.as_ref()).await?;
    facts.settings = asker.settings(&SETTINGS).await?.unwrap_or_default();
    let there: Vec<Vec<&str>> = RESERVED.iter().map(|key| vec!["EXISTS", *key]).collect();
    facts.has_reserved_keys = asker.ask_all(&there).await?.contains(&Reply::Integer(1));
    facts.not_copied = not_copied(asker, &facts.info).await?;
    if gathering.is_patient {
        facts.round_trip = Some(asker.round_trip(gathering.now).await?);
    }
    let databases = facts.info.databases();
    (facts.sample, *payloads) = sample(asker, &databases, gathering.sampling, gathering.now).await?;
    Ok(())
}

/// What is there besides keys.
async fn not_copied(asker: &mut Asker, info: &Info) -> Result<BTreeMap<&'static str, u64>, ConnectionError> {
    let requests = [vec!["FUNCTION", "LIST"], vec!["ACL", "LIST"], vec!["FT._LIST"]];
    let counts = asker.ask_all(&requests).await?.into_iter().map(|reply| match reply {
        Reply::Array(all) => all.len() as u64,
        _ => 0,
    });
    let mut found: BTreeMap<&'static str, u64> =
        ["libraries of functions", "users besides default", "search indices"]
            .into_iter()
            .zip(counts)
            .collect();
    if let Some(users) = found.get_mut("users besides default") {
        *users = users.saturating_sub(1);
    }
    if let Some(scripts) = info.number("number_of_cached_scripts") {
        found.insert("cached scripts", scripts);
    }
    found.retain(|_, count| *count > 0);
    Ok(found)
}

/// What counters stand at.
#[derive(Debug, Clone, Default)]
struct Counters {
    commands: u64,
    bytes: u64,
    records: Vec<u64>,
}

/// What is written in a second, from counters at its beginning and its end, over a connection of its own.
async fn writes(endpoint: &Endpoint, is_patient: bool) -> Option<WriteRate> {
    if !is_patient {
        return None;
    }
    let mut asker = Asker::open(endpoint).await.ok()?;
    let before = counters(&mut asker).await.ok()?;
    sleep(SECOND).await;
    let after = counters(&mut asker).await.ok()?;
    let records =
        after.records.iter().zip(&before.records).map(|(after, before)| after.saturating_sub(*before));
    Some(WriteRate {
        commands: after.commands.saturating_sub(before.commands),
        records_of_a_shard: records.max(),
        bytes: after.bytes.saturating_sub(before.bytes),
    })
}

async fn counters(asker: &mut Asker) -> Result<Counters, ConnectionError> {
    let info = Info::parse(&asker.text(&["INFO", "ALL"]).await?);
    let records = match asker.ask(&["DFLY", "REPLICAOFFSET"]).await? {
        Reply::Array(lsns) => lsns.iter().filter_map(|lsn| text_of(lsn)?.parse().ok()).collect(),
        _ => Vec::new(),
    };
    let commands = info.beginning("cmdstat_").filter(|(name, _)| {
        let name = name.trim_start_matches("cmdstat_").to_ascii_uppercase();
        !NO_WRITES.contains(&name.as_str()) && dfly_translate::lookup(name.as_bytes()).is_some()
    });
    let calls = |(_, value): (&str, &str)| {
        value.split(',').find_map(|part| part.strip_prefix("calls=")?.parse::<u64>().ok())
    };
    Ok(Counters {
        commands: commands.filter_map(calls).sum(),
        bytes: info.number("total_net_input_bytes").or_else(|| info.number("net_input_bytes")).unwrap_or(0),
        records,
    })
}
