//! `docs/commands.md` is generated from the table; `UPDATE_GOLDEN=1 cargo test -p dfly-translate` writes it anew.

#![expect(clippy::unwrap_used, reason = "a failed expectation must stop the test")]

use std::fmt::Write;
use std::path::Path;

use dfly_translate::{CommandSpec, Loss, Rule, specs};

const HEAD: &str = "# What becomes of each command

Generated from the table in `crates/dfly-translate/src/table.rs`; do not edit. A record that is not in it is never guessed: it
counts as `unknown-command`, under `--on-unsupported`, as does one with fewer arguments (`malformed-record`).

| command | keys | arguments at least | on the target |
|---|---|---|---|
";

fn fate(rule: Rule) -> String {
    let text = match rule {
        Rule::Verbatim => "the same",
        Rule::Store => {
            "the same; with its source key alone, as a master with several shards writes it: left out (`truncated-record`)"
        }
        Rule::Set => {
            "`SET` with `PXAT` or `KEEPTTL`; `STICK` and `_MCFLAGS` are left out (`sticky`, `memcache-flags`)"
        }
        Rule::IncrByFloat => "a script that calculates and formats as the source does",
        Rule::HIncrByFloat => "a script that calculates and formats as the source does",
        Rule::Prepend => "a script; the expiry stays",
        Rule::Rename => "a script; the new name is deleted if the old one was left out",
        Rule::RenameNx => "a script; nothing if the old name was left out",
        Rule::Restore => {
            "`RESTORE .. REPLACE ABSTTL` of the value written anew for the target, or the commands of such a value in the snapshot"
        }
        Rule::DelEx => "`DEL`; with a condition: left out (`command-form`)",
        Rule::SAddEx => "`SADD`; the members' expiry is left out (`member-ttl`)",
        Rule::HSetEx => {
            "`HSET`, and `HPEXPIREAT` on Redis 7.4, Valkey 9 and later; before: the expiry is left out (`member-ttl`); with FIELDS or a condition: left out (`command-form`)"
        }
        Rule::HExpire => "`HPEXPIREAT` on Redis 7.4, Valkey 9 and later; before: left out (`member-ttl`)",
        Rule::FieldExpire => "left out (`member-ttl`)",
        Rule::HGetEx => "left out (`member-ttl`)",
        Rule::Nothing => "nothing: no data changes",
        Rule::Stick => "left out (`sticky`)",
        Rule::Lost(loss) => return format!("left out (`{loss}`)"),
        Rule::FlushAll => "`FLUSHALL`, once, behind a barrier over all flows",
        Rule::FlushDb => "`FLUSHDB` in its database, once, behind a barrier over all flows",
        Rule::DflyCluster => "`FLUSHSLOTS`: left out (`flush-slots`)",
        _ => "",
    };
    assert!(!text.is_empty(), "no text for {rule:?}");
    text.to_owned()
}

fn keys(spec: &CommandSpec) -> String {
    let words: Vec<String> = (0..9).map(|i| i.to_string()).collect();
    let found: Vec<&str> = spec.keys.keys(&words).map(|key| std::str::from_utf8(key).unwrap()).collect();
    match found.as_slice() {
        [] => "none".to_owned(),
        [only] => (*only).to_owned(),
        [first, second] => format!("{first}, {second}"),
        [first, second, ..] => format!("{first}, {second}, ..."),
    }
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for spec in specs() {
        let (name, keys, least, fate) = (spec.name, keys(spec), spec.least_args - 1, fate(spec.rule));
        writeln!(page, "| {name} | {keys} | {least} | {fate} |").unwrap();
    }
    page.push_str("\nValues of the snapshot that a Redis without modules cannot hold: ");
    let values = [Loss::Json, Loss::Bloom, Loss::Cuckoo, Loss::CountMinSketch, Loss::TopK, Loss::Module];
    page.push_str(&values.map(|loss| format!("`{loss}`")).join(", "));
    page.push_str(".\n");
    page
}

#[test]
fn the_page_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/commands.md");
    if option_env!("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(
        written == page(),
        "docs/commands.md is out of date: UPDATE_GOLDEN=1 cargo test -p dfly-translate"
    );
}
