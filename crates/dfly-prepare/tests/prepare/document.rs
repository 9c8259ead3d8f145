//! `docs/prepare.md` names every check.

use std::fmt::Write as _;
use std::path::Path;

use dfly_prepare::{Check, When};

const BEGIN: &str =
    "<!-- The table is made from the code: DF2REDIS_WRITE_DOCS=1 cargo test -p dfly-prepare -->\n";
const END: &str = "<!-- end of the table -->";

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

/// `DF2REDIS_WRITE_DOCS=1` writes the table.
#[test]
fn the_document_has_every_check() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/prepare.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    if std::env::vars_os().any(|(name, _)| name == "DF2REDIS_WRITE_DOCS") {
        std::fs::write(&path, [before, BEGIN, &table(), END, after].concat()).unwrap();
        return;
    }
    assert_eq!(found, table());
}
