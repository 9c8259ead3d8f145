//! Rules of `docs/architecture.md` that no lint checks.

#![expect(clippy::unwrap_used, reason = "a failed expectation must stop the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of code a file may have, without blank lines, comments and its test module.
const FILE_LINES: usize = 400;

/// Names that say nothing about what a module holds.
const DRAWERS: [&str; 6] = ["utils", "util", "common", "helpers", "misc", "types"];

/// Which crates of the workspace each crate may depend on, and whether it may depend on tokio. Tests are free.
const IMPORTS: [(&str, &[&str], bool); 17] = [
    ("dfly-wire", &[], false),
    ("redis-resp", &["dfly-wire"], true),
    ("redis-slots", &["redis-resp"], false),
    ("relay-log", &["dfly-wire"], false),
    ("dfly-rdb", &["dfly-wire"], true),
    ("dfly-journal", &["dfly-wire"], false),
    ("dfly-client", &["dfly-journal", "redis-resp"], true),
    ("dfly-translate", &["dfly-journal", "dfly-rdb", "dfly-wire", "redis-resp", "redis-slots"], false),
    ("redis-sink", &["dfly-wire", "redis-resp", "redis-slots"], true),
    (
        "dfly-replica",
        &[
            "dfly-client",
            "dfly-journal",
            "dfly-rdb",
            "dfly-translate",
            "dfly-wire",
            "redis-resp",
            "redis-sink",
            "redis-slots",
            "relay-log",
        ],
        true,
    ),
    ("replica-api", &["dfly-check", "dfly-cutover", "dfly-journal", "dfly-replica", "dfly-wire"], true),
    (
        "dfly-check",
        &[
            "dfly-client",
            "dfly-journal",
            "dfly-rdb",
            "dfly-replica",
            "dfly-translate",
            "dfly-wire",
            "redis-resp",
        ],
        true,
    ),
    ("dfly-cutover", &["dfly-check", "dfly-journal", "dfly-replica", "dfly-wire", "redis-resp"], true),
    ("replica-metrics", &["dfly-replica", "replica-api"], false),
    ("replica-page", &["dfly-cutover", "dfly-replica", "replica-api"], true),
    (
        "dfly-prepare",
        &[
            "dfly-client",
            "dfly-rdb",
            "dfly-replica",
            "dfly-translate",
            "dfly-wire",
            "redis-resp",
            "redis-sink",
            "redis-slots",
        ],
        true,
    ),
    ("dfly-testkit", &["dfly-wire"], true),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every Rust file of the crates and binaries.
fn sources() -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut dirs = vec![root().join("crates"), root().join("bins"), root().join("benches")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() && !path.ends_with("target") => dirs.push(path),
                Some(extension) if extension == "rs" => out.push(path),
                _ => {}
            }
        }
    }
    assert!(out.len() > 60, "{} files found", out.len());
    out
}

fn code_lines(text: &str) -> usize {
    let is_inline = |(at, marker): &(usize, &str)| {
        text[at + marker.len()..].lines().next().is_some_and(|rest| rest.ends_with('{'))
    };
    let tests = text.match_indices("\n#[cfg(test)]\nmod ").find(is_inline);
    let code = &text[..tests.map_or(text.len(), |(at, _)| at)];
    code.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

#[test]
fn files_are_short() {
    let long: Vec<String> = sources()
        .into_iter()
        .map(|path| (code_lines(&fs::read_to_string(&path).unwrap()), path))
        .filter(|(lines, _)| *lines > FILE_LINES)
        .map(|(lines, path)| format!("{} has {lines} lines of code", path.display()))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn no_module_is_a_drawer() {
    let drawers: Vec<PathBuf> = sources()
        .into_iter()
        .filter(|path| {
            let is_drawer = |part: &std::ffi::OsStr| DRAWERS.iter().any(|drawer| part == *drawer);
            path.file_stem().is_some_and(is_drawer) || path.iter().any(is_drawer)
        })
        .collect();
    assert!(drawers.is_empty(), "{drawers:?}");
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<PathBuf> = sources()
        .into_iter()
        .filter(|path| !path.to_string_lossy().contains("/tests/") || path.ends_with("main.rs"))
        .filter(|path| !fs::read_to_string(path).unwrap().starts_with("//!"))
        .collect();
    assert!(silent.is_empty(), "no module documentation: {silent:#?}");
}

#[test]
fn crates_import_only_what_the_table_says() {
    for (name, allowed, tokio) in IMPORTS {
        let manifest = fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let dependencies: BTreeSet<&str> =
            manifest["dependencies"].as_table().unwrap().keys().map(String::as_str).collect();
        let ours = |dependency: &&&str| IMPORTS.iter().any(|(name, _, _)| *name == **dependency);
        let found: BTreeSet<&str> = dependencies.iter().filter(ours).copied().collect();
        let extra: Vec<&&str> = found.iter().filter(|dependency| !allowed.contains(dependency)).collect();
        assert!(extra.is_empty(), "{name} may not depend on {extra:?}");
        assert!(tokio || !dependencies.contains("tokio"), "{name} may not depend on tokio");
    }
}

#[test]
fn exceptions_from_lints_expire() {
    let allows: Vec<PathBuf> = sources()
        .into_iter()
        .filter(|path| !path.ends_with("tidy.rs"))
        .filter(|path| {
            let text = fs::read_to_string(path).unwrap();
            text.contains("#[allow(") || text.contains("#![allow(")
        })
        .collect();
    assert!(allows.is_empty(), "#[expect(.., reason)] instead: {allows:?}");
}
