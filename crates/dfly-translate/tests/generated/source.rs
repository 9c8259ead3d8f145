//! The table as Rust source.

use std::fmt::Write;

use crate::rows::{Row, version};

const HEAD: &str = "//! The facts of `data/commands.txt`, generated from it: do not edit.

use dfly_rdb::ValueKind::{
    Bloom, CountMinSketch, Cuckoo, Hash, Json, List, Set, SortedSet, Stream, String, TopK,
};
use redis_slots::KeySpec;

use super::Availability::{Always, Module, Never, Since};
use super::Members::{Expiry, Kept, Moved, Removed, Replaced, Written};
use super::WorksOn::{Any, Kind, Nothing};
use super::{CommandSpec, Rule};
use crate::policy::Loss;
use crate::target::Ability;

#[rustfmt::skip]
pub(super) const SPECS: &[CommandSpec] = &[
";

pub(crate) fn source(rows: &[Row]) -> String {
    let mut out = HEAD.to_owned();
    for row in rows {
        let again = match row.again {
            "yes" => true,
            "no" => false,
            other => panic!("{}: \"again\" must be yes or no, not {other}", row.name),
        };
        writeln!(
            out,
            "    CommandSpec {{ name: {:?}, keys: {}, least_args: {}, again: {again}, works_on: {}, members: {}, since: {:?}, target: {}, rule: {} }},",
            row.name, keys(row), row.args, works_on(row), members(row), row.since, target(row), rule(row)
        )
        .unwrap();
    }
    out.push_str("];\n");
    out
}

fn keys(row: &Row) -> String {
    match row.keys {
        "-" => "KeySpec::NONE".to_owned(),
        "1" => "KeySpec::FIRST".to_owned(),
        "1-2" => "KeySpec::FIRST_TWO".to_owned(),
        "1.." => "KeySpec::ALL".to_owned(),
        counted if counted.starts_with('#') => format!("KeySpec::counted({})", &counted[1..]),
        many if many.starts_with("1../") => format!("KeySpec::range(1, -1, {})", &many[4..]),
        one => format!("KeySpec::range({one}, {one}, 1)"),
    }
}

fn works_on(row: &Row) -> &'static str {
    match row.works_on {
        "string" => "Kind(String)",
        "list" => "Kind(List)",
        "set" => "Kind(Set)",
        "hash" => "Kind(Hash)",
        "zset" => "Kind(SortedSet)",
        "stream" => "Kind(Stream)",
        "json" => "Kind(Json)",
        "bloom" => "Kind(Bloom)",
        "cuckoo" => "Kind(Cuckoo)",
        "count-min" => "Kind(CountMinSketch)",
        "top-k" => "Kind(TopK)",
        "any" => "Any",
        "-" => "Nothing",
        other => panic!("{}: unknown type {other}", row.name),
    }
}

fn members(row: &Row) -> &'static str {
    match row.members {
        "kept" => "Kept",
        "replaced" => "Replaced",
        "removed" => "Removed",
        "written" => "Written",
        "moved" => "Moved",
        "expiry" => "Expiry",
        other => panic!("{}: unknown effect on members {other}", row.name),
    }
}

fn target(row: &Row) -> String {
    match row.target {
        "-" => "Always".to_owned(),
        "none" => "Never".to_owned(),
        "json" => "Module(Ability::Json)".to_owned(),
        "bloom" => "Module(Ability::Bloom)".to_owned(),
        "cuckoo" => "Module(Ability::Cuckoo)".to_owned(),
        "count-min" => "Module(Ability::CountMin)".to_owned(),
        "top-k" => "Module(Ability::TopK)".to_owned(),
        since => format!("Since({:?})", version(since)),
    }
}

fn rule(row: &Row) -> &'static str {
    match row.rule {
        "verbatim" => "Rule::Verbatim",
        "push" => "Rule::Push",
        "lrem" => "Rule::LRem",
        "lex-range" => "Rule::LexRange",
        "store" => "Rule::Store",
        "sort-store" => "Rule::SortStore",
        "pexpireat" => "Rule::PExpireAt",
        "xclaim" => "Rule::XClaim",
        "xgroup" => "Rule::XGroup",
        "store-all" => "Rule::StoreAll",
        "set" => "Rule::Set",
        "zadd" => "Rule::ZAdd",
        "incrbyfloat" => "Rule::IncrByFloat",
        "hincrbyfloat" => "Rule::HIncrByFloat",
        "prepend" => "Rule::Prepend",
        "rename" => "Rule::Rename",
        "renamenx" => "Rule::RenameNx",
        "move" => "Rule::Move",
        "restore" => "Rule::Restore",
        "delex" => "Rule::DelEx",
        "pops" => "Rule::Pops",
        "saddex" => "Rule::SAddEx",
        "hsetex" => "Rule::HSetEx",
        "hexpire" => "Rule::HExpire",
        "fieldexpire" => "Rule::FieldExpire",
        "hgetex" => "Rule::HGetEx",
        "stream-counters" => "Rule::StreamCounters",
        "json" => "Rule::Json",
        "json-set" => "Rule::JsonSet",
        "sketch" => "Rule::Sketch",
        "cms-merge" => "Rule::CmsMerge",
        "nothing" => "Rule::Nothing",
        "stick" => "Rule::Stick",
        "lost:search-index" => "Rule::Lost(Loss::Search)",
        "lost:throttle" => "Rule::Lost(Loss::Throttle)",
        "lost:bloom" => "Rule::Lost(Loss::Bloom)",
        "flushall" => "Rule::FlushAll",
        "flushdb" => "Rule::FlushDb",
        "dflycluster" => "Rule::DflyCluster",
        other => panic!("{}: unknown rule {other}", row.name),
    }
}
