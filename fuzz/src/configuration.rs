//! Configuration files.

use df2redis_cli::{FileForm, shown_configuration};

/// A file in TOML.
pub fn config_toml(data: &[u8]) {
    read(data, FileForm::Toml);
}

/// A file of the Go tool.
pub fn config_go_tool(data: &[u8]) {
    read(data, FileForm::GoTool);
}

/// An error is one line; what is accepted is shown as a file that says the same.
fn read(data: &[u8], form: FileForm) {
    let Ok(text) = str::from_utf8(data) else { return };
    match shown_configuration(text, form) {
        Err(error) => assert!(!error.is_empty() && !error.contains('\n'), "{error:?}"),
        Ok(shown) => {
            let again = shown_configuration(&shown, FileForm::Toml);
            assert_eq!(again.as_deref(), Ok(shown.as_str()), "{text:?}");
        }
    }
}
