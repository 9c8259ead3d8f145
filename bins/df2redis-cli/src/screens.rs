//! What people see, held against files that were looked at: `UPDATE_SCREENS=1` writes them anew.

use std::path::Path;

/// Compares a screen with its file in `tests/screens`.
pub(crate) fn check(name: &str, shown: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens").join(name);
    if std::env::vars_os().any(|(variable, _)| variable == "UPDATE_SCREENS") {
        std::fs::write(&path, shown).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        shown == expected,
        "{name} is not as it was looked at (UPDATE_SCREENS=1 writes it anew):\n{shown}"
    );
}
