//! `docs/prepare.md` names every check, every command and every field.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use dfly_prepare::{Check, Estimates, When, source_commands};
use dfly_replica::{Instead, target_commands};
use dfly_translate::Ability;
use serde_json::Value;

use crate::pair::{Pair, prepare, script};

const BEGIN: &str =
    "<!-- The tables are made from the code: DF2REDIS_WRITE_DOCS=1 cargo test -p dfly-prepare -->\n";
const BEGIN_COMMANDS: &str = "<!-- Made from the code, too -->\n";
const END: &str = "<!-- end of the table -->";

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/prepare.md")
}

fn table() -> String {
    let mut table = "\n| name | about | what is looked at | when |\n|---|---|---|---|\n".to_owned();
    for check in Check::ALL {
        let when = match check.when() {
            When::Always => "`prepare`, before a first start",
            When::Prepare => "`prepare`",
            When::Engine => "`prepare`; a start by itself",
        };
        writeln!(table, "| `{check}` | {} | {} | {when} |", check.side(), check.what()).unwrap();
    }
    table + "\n"
}

/// What makes rows of a table of their own.
type Row = (String, String, String);

/// The names of each row, in the order of their first.
fn rows(named: impl IntoIterator<Item = (String, Row)>) -> Vec<(Vec<String>, Row)> {
    let mut found: Vec<(Vec<String>, Row)> = Vec::new();
    for (name, row) in named {
        match found.iter_mut().find(|(_, other)| *other == row) {
            Some((names, _)) => names.push(name),
            None => found.push((vec![name], row)),
        }
    }
    found
}

fn ability(ability: Ability) -> &'static str {
    match ability {
        Ability::FieldTtl => "with expiries of fields",
        Ability::Functions => "with functions",
        Ability::Json => "with JSON",
        Ability::Bloom => "with Bloom filters",
        Ability::Cuckoo => "with Cuckoo filters",
        Ability::CountMin => "with count-min sketches",
        Ability::TopK => "with Top-K",
        _ => "that is able to",
    }
}

fn commands() -> String {
    let mut text = "\n| at the source | what for | without |\n|---|---|---|\n".to_owned();
    let named = source_commands().iter().map(|command| {
        (command.name.to_owned(), (command.purpose.to_owned(), command.without.to_owned(), String::new()))
    });
    for (names, (purpose, without, _)) in rows(named) {
        writeln!(text, "| {} | {purpose} | {without} |", names.join(", ")).unwrap();
    }
    text += "\n| at the target | which targets | what for | without |\n|---|---|---|---|\n";
    let nothing = || "no replication".to_owned();
    let named = target_commands().map(|command| {
        let which = match command.ability {
            Some(able) => format!("{} {}", command.targets, ability(able)),
            None => command.targets.to_owned(),
        };
        let without = command.instead.as_ref().map_or_else(nothing, Instead::to_string);
        (command.name, (which, command.purpose.to_owned(), without))
    });
    for (names, (which, purpose, without)) in rows(named) {
        writeln!(text, "| {} | {which} | {purpose} | {without} |", names.join(", ")).unwrap();
    }
    text + "\n"
}

/// `DF2REDIS_WRITE_DOCS=1` writes the tables.
#[test]
fn the_document_has_every_check_and_command() {
    let mut text = std::fs::read_to_string(path()).unwrap();
    let writes = std::env::vars_os().any(|(name, _)| name == "DF2REDIS_WRITE_DOCS");
    for (begin, made) in [(BEGIN, table()), (BEGIN_COMMANDS, commands())] {
        let (before, rest) = text.split_once(begin).unwrap();
        let (found, after) = rest.split_once(END).unwrap();
        match writes {
            true => text = [before, begin, &made, END, after].concat(),
            false => assert_eq!(found, made),
        }
    }
    if writes {
        std::fs::write(path(), text).unwrap();
    }
}

/// The names in the first column of the tables below `heading`.
fn fields_below(text: &str, heading: &str) -> BTreeMap<String, BTreeSet<String>> {
    let (_, section) = text.split_once(heading).unwrap();
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut of = String::new();
    for line in section.lines().take_while(|line| !line.starts_with("## ")) {
        let Some((first, rest)) = line.strip_prefix("| ").and_then(|line| line.split_once(" | ")) else {
            continue;
        };
        match first.split('`').collect::<Vec<_>>().as_slice() {
            _ if first == "field" => of = String::new(),
            ["field of ", outer, ""] => of = (*outer).to_owned(),
            names => {
                let names = names.iter().skip(1).step_by(2).map(|name| (*name).to_owned());
                tables.entry(of.clone()).or_default().extend(names);
                if first == "`findings`" {
                    let inner = rest.split('`').skip(1).step_by(2).map(str::to_owned);
                    tables.insert("findings".to_owned(), inner.collect());
                }
            }
        }
    }
    tables
}

fn fields_of(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

/// Each field is in the document, each of the document is there, and what may be null says so.
#[tokio::test(flavor = "multi_thread")]
async fn the_document_has_every_field() {
    let pair = Pair::new(script(), &[]).await;
    let mut measuring = prepare(pair.config());
    measuring.measures = true;
    let report = serde_json::to_value(measuring.run().await).unwrap();
    let text = std::fs::read_to_string(path()).unwrap();
    let told = fields_below(&text, "\n## JSON\n");
    assert_eq!(told[""], fields_of(&report));
    assert_eq!(told["estimates"], fields_of(&report["estimates"]));
    let kind = report["estimates"]["types"].as_object().unwrap().values().next().unwrap();
    assert_eq!(fields_of(kind), ["keys", "margin"].map(str::to_owned).into());
    for finding in report["findings"].as_array().unwrap() {
        let missing: Vec<String> =
            fields_of(finding).into_iter().filter(|name| !told["findings"].contains(name)).collect();
        assert_eq!(missing, [""; 0]);
        assert!(told["findings"].contains(finding["severity"].as_str().unwrap()));
        assert!(told["findings"].contains(finding["side"].as_str().unwrap()));
    }
    assert!(report["estimates"]["snapshot-seconds"].is_number(), "{report}");
    let nothing = Estimates {
        keys: 0,
        sampled: 0,
        expires: 0,
        types: BTreeMap::new(),
        source_bytes: None,
        target_bytes: None,
        snapshot_seconds: None,
    };
    let nothing = serde_json::to_value(nothing).unwrap();
    for (name, value) in nothing.as_object().unwrap().iter().filter(|(_, value)| value.is_null()) {
        let row = text.lines().find(|line| line.starts_with(&format!("| `{name}`"))).unwrap();
        assert!(row.contains("`null`"), "{row}: {value}");
    }
}
