//! Whether what the source holds fits the target.

use dfly_rdb::ValueKind;
use dfly_replica::Begins;
use dfly_translate::{Ability, Loss, Policy};
use dfly_wire::DbIndex;

use super::Judging;
use super::words::{about, count, listed, rounded, size};
use crate::check::Check;
use crate::facts::{AbilityFact, NodeFacts, SourceFacts, TargetFacts};
use crate::finding::Finding;
use crate::memory::buckets;
use crate::sample::{Sample, float, whole};

/// What an estimate may be wrong by.
const DOUBT: f64 = 1.2;

/// The share of its memory from which a server is nearly full.
const NEARLY: f64 = 0.85;

/// Kinds of values that a plain Redis does not hold.
const KINDS: [(ValueKind, Ability); 5] = [
    (ValueKind::Json, Ability::Json),
    (ValueKind::Bloom, Ability::Bloom),
    (ValueKind::Cuckoo, Ability::Cuckoo),
    (ValueKind::CountMinSketch, Ability::CountMin),
    (ValueKind::TopK, Ability::TopK),
];

pub(super) fn findings(judging: &Judging<'_>, found: &mut Vec<Finding>) {
    let Some(source) = &judging.facts.source else { return };
    let sample = &source.sample;
    found.push(keys(source));
    found.extend(biggest(sample));
    found.extend(source_memory(source));
    found.extend(value_sizes(judging, sample));
    found.extend(not_copied(judging, source));
    let Some(target) = &judging.facts.target else { return };
    found.extend(unsupported(judging, (sample, target)));
    found.extend(member_expiries(judging, (sample, target)));
    found.extend(memory(judging, (sample, target)));
    found.extend(eviction(judging, target));
}

fn keys(source: &SourceFacts) -> Finding {
    let sample = &source.sample;
    if sample.keys == 0 && sample.total > 0 {
        return Finding::warning(
            Check::SourceKeys,
            format!("The source has {}, and does not let them be looked at.", count(sample.total, "key")),
            "grant the user +SCAN +TYPE +MEMORY|USAGE, or see that they fit yourself",
        );
    }
    if sample.total == 0 {
        return Finding::ok(Check::SourceKeys, "The source has no keys.");
    }
    let kinds: Vec<String> =
        sample.by_kind().into_iter().map(|(kind, estimate)| format!("{kind} {}", about(estimate))).collect();
    let how = match sample.is_whole() {
        true => "each was looked at".to_owned(),
        false => format!("from a sample of {}", sample.keys),
    };
    let databases = count(sample.databases.len() as u64, "database");
    Finding::ok(
        Check::SourceKeys,
        format!(
            "{} in {databases}, {} with an expiry; {how}: {}.",
            count(sample.total, "key"),
            sample.expires,
            listed(&kinds)
        ),
    )
}

fn biggest(sample: &Sample) -> Option<Finding> {
    let shown = |key: &crate::sample::BigKey| {
        format!("{} of {} in database {} ({})", key.kind, size(key.bytes), key.db, key.key)
    };
    let all: Vec<String> = sample.biggest.iter().filter(|key| key.bytes > 0).map(shown).collect();
    (!all.is_empty())
        .then(|| Finding::ok(Check::BiggestKeys, format!("The largest that were seen: {}.", listed(&all))))
}

fn source_memory(source: &SourceFacts) -> Option<Finding> {
    let used = source.info.number("used_memory")?;
    let most = source.info.number("maxmemory").filter(|most| *most > 0)?;
    let means = format!("The source uses {} of {} (maxmemory).", size(used), size(most));
    Some(match float(used) > float(most) * 0.9 {
        false => Finding::ok(Check::SourceMemory, means),
        true => Finding::warning(
            Check::SourceMemory,
            format!("{means} A synchronisation needs buffers, and it may evict or refuse writes meanwhile."),
            "raise its maxmemory, or limit the rate (--snapshot-bytes-per-second)",
        ),
    })
}

fn value_sizes(judging: &Judging<'_>, sample: &Sample) -> Option<Finding> {
    let limit = judging.config.memory_limit as u64;
    let largest = sample.biggest.first().filter(|key| key.bytes > 0)?;
    let argument = judging.facts.target.iter().flat_map(|target| &target.nodes);
    let argument = argument.filter_map(|node| node.setting("proto-max-bulk-len")?.parse::<u64>().ok()).min();
    let text =
        sample.biggest.iter().filter(|key| key.kind == "string").map(|key| key.bytes).max().unwrap_or(0);
    let shown = size(largest.bytes);
    if argument.is_some_and(|argument| text > argument) {
        return Some(Finding::warning(
            Check::ValueSizes,
            format!(
                "A string of {} is larger than the largest argument of the target ({}, proto-max-bulk-len): it falls under --on-unsupported.",
                size(text),
                size(argument.unwrap_or(0))
            ),
            "raise the target's proto-max-bulk-len",
        ));
    }
    if text > limit / 4 {
        return Some(Finding::warning(
            Check::ValueSizes,
            format!(
                "A string of {} is larger than a fourth of --memory-limit ({}): a record that sets it ends the run.",
                size(text),
                size(limit)
            ),
            format!("set --memory-limit {}MiB or more", (text * 4).div_ceil(1 << 20)),
        ));
    }
    if largest.bytes > limit / 8 {
        return Some(Finding::warning(
            Check::ValueSizes,
            format!(
                "A {} of {shown} is larger than an eighth of --memory-limit ({}): it can be copied, but not refetched.",
                largest.kind,
                size(limit)
            ),
            format!("set --memory-limit {}MiB or more", (largest.bytes * 8).div_ceil(1 << 20)),
        ));
    }
    Some(Finding::ok(
        Check::ValueSizes,
        format!("The largest value that was seen, {shown}, fits --memory-limit ({}).", size(limit)),
    ))
}

fn not_copied(judging: &Judging<'_>, source: &SourceFacts) -> Vec<Finding> {
    let shown: Vec<String> =
        source.not_copied.iter().map(|(what, count)| format!("{count} {what}")).collect();
    let has_more = source.not_copied.keys().any(|what| *what != "cached scripts");
    let mut found = Vec::new();
    if let Some(indices) = source.not_copied.get("search indices")
        && judging.config.rules.policies.of_loss(Loss::Search) == Policy::Fail
    {
        found.push(Finding::blocker(
            Check::NotCopied,
            format!("The source has {}, which no target takes, and --on-unsupported is fail: the run would stop at the first.", count(*indices, "search index").replace("indexs", "indices")),
            "leave them out with --on-unsupported search-index=warn, and create them on the target",
        ));
    }
    found.push(match (shown.as_slice(), has_more) {
        ([], _) => Finding::ok(
            Check::NotCopied,
            "The source has no functions, users or search indices. Its settings are never copied.",
        ),
        (shown, false) => Finding::ok(
            Check::NotCopied,
            format!(
                "Not copied: {}. Clients send scripts again (EVALSHA falls back to EVAL).",
                listed(shown)
            ),
        ),
        (shown, true) => Finding::warning(
            Check::NotCopied,
            format!("Not copied: {}, and the settings.", listed(shown)),
            "create them on the target before the switch",
        ),
    });
    found
}

fn unsupported(judging: &Judging<'_>, (sample, target): (&Sample, &TargetFacts)) -> Vec<Finding> {
    let rules = &judging.config.rules;
    let mut found = Vec::new();
    for (kind, ability) in KINDS {
        let Some(of_kind) = sample.kinds.get(&kind.to_string()).filter(|of| of.keys > 0) else { continue };
        let Some(loss) = Loss::of(kind) else { continue };
        let keys = format!("{} of type {kind}", keys_about(sample, of_kind.keys));
        let has = target.abilities.contains(&AbilityFact(ability));
        let finding = match rules.policies.of_loss(loss) {
            _ if !rules.selection.takes_kind(kind) => continue,
            _ if has && kind == ValueKind::Json => {
                Finding::ok(Check::UnsupportedTypes, format!("{keys}: the target has the module."))
            }
            _ if kind == ValueKind::Json && rules.policies.json_as_string() => Finding::warning(
                Check::UnsupportedTypes,
                format!("{keys}: the target has no JSON, and documents become strings."),
                "load its JSON module, if applications need it",
            ),
            Policy::Fail => Finding::blocker(
                Check::UnsupportedTypes,
                format!(
                    "The source has {keys}, which the target cannot be given{}, and --on-unsupported is fail: the run would stop at the first.",
                    whose(has)
                ),
                format!(
                    "--on-unsupported {loss}=warn leaves them out and tells it, {loss}=skip leaves them out{}",
                    if kind == ValueKind::Json { ", json=string copies their text" } else { "" }
                ),
            ),
            policy => Finding::warning(
                Check::UnsupportedTypes,
                format!(
                    "The source has {keys}, which the target cannot be given{}: they are left out and counted ({loss}={policy}).",
                    whose(has)
                ),
                "move them by other means, or do without",
            ),
        };
        found.push(finding);
    }
    if found.is_empty() && sample.keys > 0 {
        let all = if sample.is_whole() { "each type of value" } else { "each type of value that was seen" };
        found.push(Finding::ok(Check::UnsupportedTypes, format!("The target holds {all}.")));
    }
    found
}

/// A module that hashes in another way takes no contents.
fn whose(has_module: bool) -> &'static str {
    if has_module { " (its module hashes in another way)" } else { " (it lacks the module)" }
}

fn keys_about(sample: &Sample, having: u64) -> String {
    let estimate = sample.estimate(having);
    match estimate.margin {
        0 => count(estimate.count, "key"),
        _ => format!("about {} keys", rounded(estimate.count)),
    }
}

fn member_expiries(judging: &Judging<'_>, (sample, target): (&Sample, &TargetFacts)) -> Option<Finding> {
    let of = |kind: &str| sample.kinds.get(kind).map_or(0, |of| of.member_expiries);
    let fields_by_target = target.abilities.contains(&AbilityFact(Ability::FieldTtl));
    let (sets, hashes) = (of("set"), of("hash"));
    let by_us = sets + if fields_by_target { 0 } else { hashes };
    if by_us == 0 {
        let seen = if hashes > 0 {
            "The target expires fields of hashes itself."
        } else {
            "No members or fields that expire were seen."
        };
        return (sample.keys > 0).then(|| Finding::ok(Check::MemberExpiries, seen));
    }
    let policies = &judging.config.rules.policies;
    let keys = keys_about(sample, by_us);
    Some(match (policies.emulates_member_ttl(), policies.of_loss(Loss::MemberTtl)) {
        (true, _) => Finding::warning(
            Check::MemberExpiries,
            format!(
                "Members or fields of {keys} expire, which the target cannot do: df2redis removes them when they are due, while it runs. Behind the switch, nobody does."
            ),
            "use a target that expires fields (Redis 7.4, Valkey 9), or have the applications remove members",
        ),
        (false, Policy::Fail) => Finding::blocker(
            Check::MemberExpiries,
            format!(
                "Members or fields of {keys} expire, which the target cannot do, and --on-unsupported is member-ttl=fail: the run would stop at the first."
            ),
            "--on-unsupported member-ttl=emulate has df2redis remove them, member-ttl=drop leaves their expiries out",
        ),
        (false, _) => Finding::warning(
            Check::MemberExpiries,
            format!(
                "Members or fields of {keys} expire, which the target cannot do: their expiries are left out (member-ttl=drop)."
            ),
            "--on-unsupported member-ttl=emulate has df2redis remove them while it runs",
        ),
    })
}

/// What the target needs for everything that the source holds, in bytes.
pub(crate) fn needed(judging: &Judging<'_>, sample: &Sample) -> Option<u64> {
    let mut by_database = std::collections::BTreeMap::new();
    for (db, keys) in &sample.databases {
        if let Some(to) = judging.config.rules.selection.dbs.get(DbIndex(*db)) {
            *by_database.entry(to).or_insert(0) += keys;
        }
    }
    let tables: u64 = by_database.values().map(|keys| buckets(*keys)).sum();
    Some(sample.target_bytes()? + tables + buckets(sample.expires))
}

fn memory(judging: &Judging<'_>, (sample, target): (&Sample, &TargetFacts)) -> Option<Finding> {
    let needed = needed(judging, sample).filter(|_| sample.keys > 0)?;
    let begins = judging.facts.rehearsed.as_ref().and_then(|found| found.target.as_ref()?.begins);
    if begins == Some(Begins::Resume) {
        return None;
    }
    let primaries = target.nodes.iter().filter(|node| node.is_primary && node.failure.is_none());
    let of_nodes = primaries.filter_map(|node| of_node(node, needed, begins));
    let tightest = of_nodes.max_by(|one, other| one.fullness().total_cmp(&other.fullness()))?;
    Some(tightest.finding(target.is_cluster))
}

/// A server, and what it is to hold.
struct Room {
    address: String,
    needed: u64,
    free: u64,
    limit: Limit,
    is_persistent: bool,
}

/// What bounds its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    Maxmemory(u64),
    Host(u64),
}

fn of_node(node: &NodeFacts, needed: u64, begins: Option<Begins>) -> Option<Room> {
    let used = node.info.number("used_memory")?;
    let most = node.info.number("maxmemory").filter(|most| *most > 0);
    let host = node.info.number("total_system_memory").filter(|memory| *memory > 0);
    let limit = most.map(Limit::Maxmemory).or(host.map(Limit::Host))?;
    let bytes = match limit {
        Limit::Maxmemory(bytes) | Limit::Host(bytes) => bytes,
    };
    // What a run before has left is written again, and what is emptied first takes no room.
    let stays = matches!(begins, None | Some(Begins::Empty | Begins::Over(dfly_replica::OnStart::Merge)));
    let own = node.info.number("used_memory_startup").unwrap_or(0);
    let taken = if stays { used } else { own };
    Some(Room {
        address: node.address.clone(),
        needed: whole(float(needed) * node.share),
        free: bytes.saturating_sub(taken),
        limit,
        is_persistent: node.setting("appendonly") == Some("yes")
            || node.setting("save").is_some_and(|save| !save.is_empty()),
    })
}

impl Room {
    fn fullness(&self) -> f64 {
        float(self.needed) / float(self.free.max(1))
    }

    fn finding(&self, is_cluster: bool) -> Finding {
        let (needed, free) = (size(self.needed), size(self.free));
        let who = if is_cluster { self.address.as_str() } else { "The target" };
        let of = match self.limit {
            Limit::Maxmemory(most) => format!("{free} free of {} (maxmemory)", size(most)),
            Limit::Host(most) => format!("{free} free of its host's {} (it has no maxmemory)", size(most)),
        };
        let means = format!("{who} needs about {needed} for what the source holds, and has {of}.");
        let raise = match self.limit {
            Limit::Maxmemory(_) => "raise its maxmemory",
            Limit::Host(_) => "give its host more memory",
        };
        match (self.fullness(), self.limit) {
            (full, Limit::Maxmemory(_)) if full > DOUBT => Finding::blocker(
                Check::TargetMemory,
                format!("{means} It would refuse writes in the middle of the snapshot (OOM)."),
                format!("{raise}, or leave keys out (--block-keys, --map-db)"),
            ),
            (full, _) if full > NEARLY => Finding::warning(
                Check::TargetMemory,
                format!("{means} The estimate is good to a fifth."),
                raise,
            ),
            (full, Limit::Host(_)) if self.is_persistent && full > NEARLY / 2.0 => Finding::warning(
                Check::TargetMemory,
                format!(
                    "{means} While it writes its file, each page that changes is held twice, up to {}.",
                    size(self.needed * 2)
                ),
                "give its host room for copy-on-write, or let it save at quiet times",
            ),
            _ => Finding::ok(Check::TargetMemory, means),
        }
    }
}

fn eviction(judging: &Judging<'_>, target: &TargetFacts) -> Option<Finding> {
    let evicts = target.nodes.iter().find_map(|node| {
        let policy = node.info.text("maxmemory_policy").filter(|policy| *policy != "noeviction")?;
        node.info.number("maxmemory").filter(|most| *most > 0)?;
        Some(policy.to_owned())
    });
    match evicts {
        Some(policy) if judging.config.allows_evictions => Some(Finding::warning(
            Check::TargetEviction,
            format!(
                "The target evicts keys when its memory is full (maxmemory-policy {policy}): what it evicts is missing, and counted (--on-eviction warn)."
            ),
            "set its maxmemory-policy to noeviction until the switch",
        )),
        // The engine refuses it.
        Some(_) => None,
        None => Some(Finding::ok(Check::TargetEviction, "The target evicts nothing.")),
    }
}
