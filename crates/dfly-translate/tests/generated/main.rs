//! `src/table/commands.rs` and `docs/commands.md` are generated from `data/commands.txt`. `UPDATE_GOLDEN=1 cargo test -p
//! dfly-translate --test generated` writes them again.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed expectation must stop the test")]

mod page;
mod rows;
mod source;

use std::path::Path;

fn check(path: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if option_env!("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(
        written == expected,
        "{} is out of date: UPDATE_GOLDEN=1 cargo test -p dfly-translate --test generated",
        path.display()
    );
}

#[test]
fn the_table_is_what_the_facts_say() {
    check("src/table/commands.rs", &source::source(&rows::rows()));
}

#[test]
fn the_page_is_what_the_facts_say() {
    check("../../docs/commands.md", &page::page(&rows::rows()));
}
