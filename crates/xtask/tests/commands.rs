//! Commands that a comparison and a cutover send are in the lists of what is asked before a start.

#![expect(clippy::unwrap_used, reason = "a failed expectation must stop the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Words of requests that are no commands.
const ARGUMENTS: [&str; 12] = [
    "CONSUMERS",
    "COUNT",
    "FIELDS",
    "FULL",
    "GROUPS",
    "PAUSE",
    "REPLICAOFFSET",
    "STREAM",
    "UNPAUSE",
    "USAGE",
    "WITHSCORES",
    "WRITE",
];

/// Only a source is sent these.
const AT_SOURCE: [&str; 3] = ["CLIENT", "DFLY", "FIELDTTL"];

/// Only a target is sent this. A source has no keys of the tool, and nothing is removed from it.
const AT_TARGET: [&str; 1] = ["UNLINK"];

/// Where a target refuses it, PTTL does as well, and that is needed anyway.
const REPLACED_AT_TARGET: [&str; 1] = ["PEXPIRETIME"];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The code of a folder without its tests.
fn code(folder: &Path) -> String {
    let mut found = String::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.is_dir() {
            true => found += &code(&entry),
            false => found += fs::read_to_string(&entry).unwrap().split("#[cfg(test)]").next().unwrap(),
        }
    }
    found
}

/// Words in capital letters that begin behind `quote`.
fn words<'a>(text: &'a str, quote: &str) -> BTreeSet<&'a str> {
    let is_name =
        |word: &&str| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'.');
    text.split(quote).skip(1).filter_map(|rest| rest.split(['"', ' ']).next()).filter(is_name).collect()
}

#[test]
fn what_a_comparison_and_a_cutover_send_is_asked_about() {
    let [check, cutover] = ["dfly-check/src", "dfly-cutover/src"].map(|folder| code(&crates().join(folder)));
    let sent: BTreeSet<&str> = words(&check, "b\"")
        .into_iter()
        .chain(words(&cutover, "b\""))
        .filter(|word| !ARGUMENTS.contains(word))
        .collect();
    assert!(sent.len() > 25, "{sent:?}");
    let source = code(&crates().join("dfly-prepare/src"));
    let target = code(&crates().join("dfly-replica/src/target/probe"));
    let (source, target) = (words(&source, "\""), words(&target, "\""));
    let missing = |asked: &BTreeSet<&str>, except: &[&[&str]]| -> Vec<&str> {
        let is_missing = |word: &&&str| !asked.contains(**word) && !except.concat().contains(*word);
        sent.iter().filter(is_missing).copied().collect()
    };
    assert_eq!(missing(&source, &[&AT_TARGET]), [""; 0], "at the source");
    assert_eq!(missing(&target, &[&AT_SOURCE, &REPLACED_AT_TARGET]), [""; 0], "at the target");
}
