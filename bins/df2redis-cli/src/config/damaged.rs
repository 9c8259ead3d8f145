//! Configuration files that are damaged in any way: an error, never a panic, and no value in it.

use std::path::Path;

use proptest::prelude::*;

use super::{go_tool, settings_of, toml_file};

const TOML: &str = "source = 'dragonfly://ann:S3cr3tW0rd@h:1'\n[target]\nurl = 'redis://h'\n[limits]\nmax-removals = 7\nallow-keys = ['a*']\n";
const YAML: &str = "taskName: t\nsource:\n  addr: h:1\n  password: S3cr3tW0rd\ntarget:\n  addr: h:2\n  cluster:\n    seeds:\n      - h:3\ncheckpoint:\n  intervalSeconds: 5\n";

/// Text with a part replaced by something else.
fn damaged(text: &'static str) -> impl Strategy<Value = String> {
    let part = (0..text.len(), 0..12usize);
    (part, "[ -~\n\t\u{e4}\u{1f40e}]{0,12}").prop_map(move |((at, length), by)| {
        let end = (at + length).min(text.len());
        format!("{}{by}{}", &text[..at], &text[end..])
    })
}

/// What is told of a file, which may repeat names of keys, but no whole value.
fn told(error: Option<String>) {
    let error = error.unwrap_or_default();
    assert!(!error.contains("S3cr3tW0rd"), "{error}");
}

proptest! {
    #[test]
    fn toml(text in damaged(TOML)) {
        told(toml_file::parse(&text).and_then(|content| settings_of(&content.layer)).err());
    }

    #[test]
    fn yaml(text in damaged(YAML)) {
        told(go_tool::parse(&text, Path::new("")).and_then(|content| settings_of(&content.layer)).err());
    }

    #[test]
    fn anything(text in "\\PC{0,200}") {
        drop(toml_file::parse(&text));
        drop(go_tool::parse(&text, Path::new("")));
    }
}
