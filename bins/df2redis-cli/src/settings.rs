//! Settings as the configuration of the engine.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use dfly_prepare::Skipped;
use dfly_rdb::ValueKind;
use dfly_replica::{EngineConfig, OnConflict, OnNewSource, OnRelayFull, OnStart, TargetMode};
use dfly_translate::{
    Alias, Choice, Glob, Policies, Quirks, ReservedNames, Rules, Selection, TaskName, lookup,
};
use redis_resp::connection::Peer;
use redis_sink::cluster::AddressMap;

use crate::address::{self, Access};
use crate::flags::Settings;

/// The longest time between two checkpoints, in seconds: the source drops a replica that acknowledges nothing for half a minute.
pub(crate) const CHECKPOINT_INTERVAL: u64 = 10;

fn seconds_within(flag: &str, seconds: u64, range: RangeInclusive<u64>) -> Result<Duration, String> {
    match range.contains(&seconds) {
        true => Ok(Duration::from_secs(seconds)),
        false if seconds < *range.start() => {
            Err(format!("{flag} {seconds}: the minimum is {}", range.start()))
        }
        false => Err(format!("{flag} {seconds}: the maximum is {}", range.end())),
    }
}

/// The checks before a first start that are not made.
pub(crate) fn skipped_checks(settings: &Settings) -> Result<Skipped, String> {
    let names = settings.skip_checks.iter().map(String::as_str);
    Skipped::named(names).map_err(|error| format!("--skip-checks: {error}"))
}

/// The configuration that these settings stand for.
pub(crate) fn engine_config(settings: &Settings, force_resync: bool) -> Result<EngineConfig, String> {
    let source =
        settings.source.as_ref().ok_or("the source is missing: give --source dragonfly://host:port")?;
    let target = settings.target.as_ref().ok_or("the target is missing: give --target redis://host:port")?;
    let mut sources = address::parse_all(Peer::Source, source, &access(settings, Peer::Source))?.into_iter();
    let source = sources.next().ok_or("the source is missing: give --source dragonfly://host:port")?;
    let mut targets = address::parse_all(Peer::Target, target, &access(settings, Peer::Target))?.into_iter();
    let target = targets.next().ok_or("the target is missing: give --target redis://host:port")?;
    let mut config = EngineConfig::new(source, target);
    config.other_sources = sources.collect();
    config.other_targets = targets.collect();
    config.target_mode = target_mode(settings.target_mode.as_deref().unwrap_or("auto"))?;
    if config.target_mode == TargetMode::Standalone && !config.other_targets.is_empty() {
        return Err(
            "--target names several hosts: they are nodes of a cluster, and --target-mode is standalone"
                .into(),
        );
    }
    if config.target_mode == TargetMode::Cluster && config.target.socket.is_some() {
        return Err("--target names a socket of this machine, and the nodes of a cluster are reached by their addresses".into());
    }
    config.target_addresses = target_addresses(&settings.target_address_map, config.target_mode)?;
    config.wait_replicas = settings.wait_replicas.unwrap_or(config.wait_replicas);
    config.rules = rules(settings)?.into();
    config.on_start = on_start(settings.on_start.as_deref().unwrap_or("require-empty"))?;
    config.on_conflict = on_conflict(settings.on_conflict.as_deref().unwrap_or("overwrite"))?;
    if config.on_conflict != OnConflict::Overwrite && config.on_start != OnStart::Merge {
        return Err(
            "--on-conflict skip and panic need --on-start merge: without it, no key is on both sides".into(),
        );
    }
    if let Some(text) = &settings.on_new_source {
        config.on_new_source = on_new_source(text)?;
    }
    config.new_source_share =
        percent("--new-source-share", settings.new_source_share, config.new_source_share)?;
    config.max_removals = percent("--max-removals", settings.max_removals, config.max_removals)?;
    config.force_resync = force_resync;
    config.state_dir.clone_from(&settings.state_dir);
    if let Some(text) = &settings.relay_max_bytes {
        config.relay_max_bytes = size("--relay-max-bytes", text)?;
    }
    if let Some(text) = &settings.on_eviction {
        config.allows_evictions = one_of("--on-eviction", text, &[("refuse", false), ("warn", true)])?;
    }
    if let Some(text) = &settings.on_relay_full {
        config.on_relay_full = on_relay_full(text)?;
    }
    if let Some(text) = &settings.memory_limit {
        config.memory_limit = memory_limit(text)?;
    }
    if let Some(text) = &settings.snapshot_bytes_per_second {
        config.snapshot_bytes_per_second = Some(size("--snapshot-bytes-per-second", text)?);
    }
    config.target_ops_per_second = settings.target_ops_per_second;
    if let Some(seconds) = settings.checkpoint_interval {
        config.ack_interval = seconds_within("--checkpoint-interval", seconds, 1..=CHECKPOINT_INTERVAL)?;
    }
    if let Some(seconds) = settings.state_interval {
        config.state_interval = seconds_within("--state-interval", seconds, 1..=u64::MAX)?;
    }
    config.reconnect.give_up_after = settings.give_up_after.map(Duration::from_secs);
    skipped_checks(settings)?;
    Ok(config)
}

fn access(settings: &Settings, peer: Peer) -> Access {
    let (password, sentinel_password) = match peer {
        Peer::Source => (settings.source_password_file.clone(), None),
        Peer::Target => (settings.target_password_file.clone(), settings.sentinel_password_file.clone()),
    };
    Access { tls: settings.tls.of(peer), password, sentinel_password }
}

fn rules(settings: &Settings) -> Result<Rules, String> {
    let policies = match &settings.on_unsupported {
        Some(text) => parse::<Policies>("--on-unsupported", text)?,
        None => Policies::default(),
    };
    let dbs = match &settings.map_db {
        Some(text) => parse("--map-db", text)?,
        None => Default::default(),
    };
    let globs = |texts: &[String]| texts.iter().map(|text| Glob::new(text.as_str())).collect();
    let renames = settings.rename_keys.iter().map(|text| parse("--rename-keys", text));
    let selection = Selection {
        dbs,
        keys: Choice { allow: globs(&settings.allow_keys), block: globs(&settings.block_keys) },
        kinds: Choice {
            allow: kinds("--allow-types", &settings.allow_types)?,
            block: kinds("--block-types", &settings.block_types)?,
        },
        allowed_commands: commands("--allow-commands", &settings.allow_commands)?,
        blocked_commands: commands("--block-commands", &settings.block_commands)?,
        renames: renames.collect::<Result<_, _>>()?,
        ..Selection::default()
    };
    let aliases = settings.command_alias.iter().map(|text| parse::<Alias>("--command-alias", text));
    let aliases = aliases.collect::<Result<_, _>>()?;
    let names = ReservedNames::new(&task_name(settings.task_name.as_deref())?);
    let quirks = match &settings.quirks {
        Some(text) => parse::<Quirks>("--quirks", text)?,
        None => Quirks::default(),
    };
    Ok(Rules { policies, selection, aliases, names, quirks, ..Rules::default() })
}

fn parse<T: FromStr<Err = String>>(flag: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{flag}: {error}"))
}

/// The task that `--task-name` names.
pub(crate) fn task_name(name: Option<&str>) -> Result<TaskName, String> {
    name.unwrap_or_default().parse().map_err(|error| format!("--task-name: {error}"))
}

/// The value that one of these words stands for.
pub(crate) fn one_of<T: Copy>(flag: &str, text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        format!("{flag}: \"{text}\" is not one of {words}")
    })
}

/// Parses the value of `--target-mode`.
pub(crate) fn target_mode(text: &str) -> Result<TargetMode, String> {
    one_of(
        "--target-mode",
        text,
        &[
            ("auto", TargetMode::Auto),
            ("standalone", TargetMode::Standalone),
            ("cluster", TargetMode::Cluster),
        ],
    )
}

/// Parses the values of `--target-address-map`.
pub(crate) fn target_addresses(rules: &[String], mode: TargetMode) -> Result<AddressMap, String> {
    let named = |error| format!("--target-address-map: {error}");
    let map =
        AddressMap::parse(rules.iter().map(String::as_str)).map_err(|error| named(error.to_string()))?;
    match mode {
        TargetMode::Standalone if !map.is_empty() => {
            Err(named("it is for the nodes of a cluster, and --target-mode is standalone".to_owned()))
        }
        _ => Ok(map),
    }
}

fn on_start(text: &str) -> Result<OnStart, String> {
    one_of(
        "--on-start",
        text,
        &[
            ("require-empty", OnStart::RequireEmpty),
            ("merge", OnStart::Merge),
            ("mirror", OnStart::Mirror),
            ("flush", OnStart::Flush),
        ],
    )
}

fn on_new_source(text: &str) -> Result<OnNewSource, String> {
    one_of(
        "--on-new-source",
        text,
        &[("resync", OnNewSource::Resync), ("wait", OnNewSource::Wait), ("stop", OnNewSource::Stop)],
    )
}

fn on_relay_full(text: &str) -> Result<OnRelayFull, String> {
    one_of(
        "--on-relay-full",
        text,
        &[("close", OnRelayFull::Close), ("throttle", OnRelayFull::Throttle), ("stop", OnRelayFull::Stop)],
    )
}

fn percent(flag: &str, given: Option<u8>, default: u8) -> Result<u8, String> {
    match given {
        Some(share) if share > 100 => {
            Err(format!("{flag}: {share} is not a share in percent; write 0 to 100"))
        }
        share => Ok(share.unwrap_or(default)),
    }
}

fn on_conflict(text: &str) -> Result<OnConflict, String> {
    one_of(
        "--on-conflict",
        text,
        &[("overwrite", OnConflict::Overwrite), ("skip", OnConflict::Skip), ("panic", OnConflict::Panic)],
    )
}

fn kinds(flag: &str, names: &[String]) -> Result<Vec<ValueKind>, String> {
    let kind = |name: &String| match name.to_ascii_lowercase().as_str() {
        "string" => Ok(ValueKind::String),
        "list" => Ok(ValueKind::List),
        "set" => Ok(ValueKind::Set),
        "hash" => Ok(ValueKind::Hash),
        "zset" => Ok(ValueKind::SortedSet),
        "stream" => Ok(ValueKind::Stream),
        "json" => Ok(ValueKind::Json),
        "bloom" => Ok(ValueKind::Bloom),
        "cuckoo" => Ok(ValueKind::Cuckoo),
        "cms" => Ok(ValueKind::CountMinSketch),
        "topk" => Ok(ValueKind::TopK),
        _ => Err(format!(
            "{flag}: unknown type \"{name}\"; the types are string, list, set, hash, zset, stream, json, bloom, cuckoo, cms, topk"
        )),
    };
    names.iter().map(kind).collect()
}

fn commands(flag: &str, names: &[String]) -> Result<BTreeSet<String>, String> {
    let known = |name: &String| {
        let name = name.to_ascii_uppercase();
        match lookup(name.as_bytes()) {
            Some(_) => Ok(name),
            None => Err(format!(
                "{flag}: Dragonfly does not journal \"{name}\"; docs/commands.md lists the commands that it journals"
            )),
        }
    };
    names.iter().map(known).collect()
}

/// The minimum of `--memory-limit`, in bytes. With less, a flow could not hold one batch.
const LEAST_MEMORY: usize = 16 << 20;

fn memory_limit(text: &str) -> Result<usize, String> {
    let bytes = usize::try_from(size("--memory-limit", text)?).unwrap_or(usize::MAX);
    if bytes < LEAST_MEMORY { Err("--memory-limit: the minimum is 16MiB".into()) } else { Ok(bytes) }
}

/// Parses a size such as `500MiB`, `8GiB` or `1000`, into bytes.
pub(crate) fn size(flag: &str, text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(format!("{flag}: \"{text}\" is not a size; write 1000, 500MiB or 8GiB")),
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| format!("{flag}: \"{text}\" is not a size; write 1000, 500MiB or 8GiB"))
}

#[cfg(test)]
mod tests {
    use dfly_translate::{Loss, Policy};

    use super::*;

    fn with_servers(settings: Settings) -> Settings {
        Settings { source: Some("dragonfly://a".into()), target: Some("redis://b".into()), ..settings }
    }

    fn of(settings: Settings) -> Result<EngineConfig, String> {
        engine_config(&with_servers(settings), false)
    }

    #[test]
    fn what_is_given_is_in_effect() {
        let settings = Settings { on_unsupported: Some("skip".into()), ..Settings::default() };
        let config = of(settings).unwrap();
        assert_eq!(
            (config.source.to_string(), config.target.to_string()),
            ("a:6379".into(), "b:6379".into())
        );
        assert_eq!(config.rules.policies.of_loss(Loss::Bloom), Policy::Skip);
    }

    #[test]
    fn what_is_missing_is_named() {
        let of = |settings| engine_config(&settings, false).unwrap_err();
        assert!(of(Settings::default()).contains("--source"));
        let settings = Settings { source: Some("dragonfly://a".into()), ..Settings::default() };
        assert!(of(settings).contains("--target"));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_flag() {
        let some = |text: &str| Some(text.to_owned());
        let list = |text: &str| vec![text.to_owned()];
        for (settings, flag) in [
            (Settings { on_unsupported: some("keep"), ..Settings::default() }, "--on-unsupported"),
            (Settings { quirks: some("lazy"), ..Settings::default() }, "--quirks"),
            (Settings { map_db: some("0=x"), ..Settings::default() }, "--map-db"),
            (Settings { target_address_map: list("a:1=b"), ..Settings::default() }, "--target-address-map"),
            (Settings { on_start: some("wipe"), ..Settings::default() }, "--on-start"),
            (Settings { on_conflict: some("skip"), ..Settings::default() }, "--on-start merge"),
            (Settings { relay_max_bytes: some("8 potatoes"), ..Settings::default() }, "--relay-max-bytes"),
            (Settings { memory_limit: some("1MiB"), ..Settings::default() }, "--memory-limit"),
            (Settings { block_types: list("text"), ..Settings::default() }, "--block-types"),
            (Settings { allow_commands: list("GET"), ..Settings::default() }, "--allow-commands"),
            (Settings { command_alias: list("___SET=STE"), ..Settings::default() }, "--command-alias"),
            (Settings { rename_keys: list("a"), ..Settings::default() }, "--rename-keys"),
            (Settings { task_name: some("a:b"), ..Settings::default() }, "--task-name"),
            (Settings { skip_checks: list("backlogs"), ..Settings::default() }, "--skip-checks"),
        ] {
            let error = of(settings).unwrap_err();
            assert!(error.contains(flag), "{error}");
        }
    }

    /// C18: a rule has an effect, or is an error.
    #[test]
    fn addresses_of_nodes() {
        let rules = || vec!["a:1=b:2".to_owned(), "c=d".to_owned()];
        let cluster = Settings { target_address_map: rules(), ..Settings::default() };
        let map = of(cluster.clone()).unwrap().target_addresses;
        assert_eq!(map, AddressMap::parse(["a:1=b:2", "c=d"]).unwrap());
        let single = Settings { target_mode: Some("standalone".into()), ..cluster };
        assert!(of(single).unwrap_err().contains("--target-mode is standalone"));
    }

    /// C26: several hosts are nodes of a cluster.
    #[test]
    fn several_targets() {
        let several = |mode: &str| {
            let of_mode = Settings { target_mode: Some(mode.to_owned()), ..Settings::default() };
            let target = Some("redis://a,b:7001".into());
            engine_config(&Settings { target, ..with_servers(of_mode) }, false)
        };
        let config = several("auto").unwrap();
        let others: Vec<String> = config.other_targets.iter().map(ToString::to_string).collect();
        assert_eq!((config.target.to_string(), others), ("a:6379".to_owned(), vec!["b:7001".to_owned()]));
        assert!(several("standalone").unwrap_err().contains("--target-mode is standalone"));
    }

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("0", 0), ("1000", 1000), ("500MiB", 500 << 20), ("8GiB", 8 << 30), ("2 k", 2048)]
        {
            assert_eq!(size("", text), Ok(bytes));
        }
        for text in ["", "MiB", "-1", "1.5G", "99999999999999999999", "20000000000GiB"] {
            assert!(size("--x", text).unwrap_err().starts_with("--x: "), "{text}");
        }
    }
}
