//! The files beside the test, and what is compared with them.

mod masks;
mod roles;
mod slots;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use crate::target::Log;
pub(crate) use text::{Look, Order};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/freeze/golden").join(format!("{name}.txt"))
}

/// Compares what a target was sent with the file of this name, or writes it. The whole text, of which the file shortens the
/// longest parts, is written beside the build's output when they differ, or with `FREEZE_WHOLE=1`.
pub(crate) fn compare(name: &str, (logs, rests): (Vec<Log>, Vec<usize>), look: Look) {
    let mut spoken = masks::masked(logs, &rests);
    if look.hides_heard {
        masks::hide_heard(&mut spoken);
    }
    let found = text::render(spoken.clone(), look);
    let (file, whole) = (file(name), Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.txt")));
    if std::env::var_os("FREEZE_UPDATE").is_some() {
        fs::write(&file, &found).unwrap();
    }
    let golden = fs::read_to_string(&file).unwrap_or_default();
    if golden != found || std::env::var_os("FREEZE_WHOLE").is_some() {
        fs::write(&whole, text::render(spoken, Look { lines: usize::MAX, ..look })).unwrap();
    }
    assert!(golden == found, "{name}: {}; all of it is in {}", difference(&golden, &found), whole.display());
}

fn difference(golden: &str, found: &str) -> String {
    let lines = golden.lines().map(Some).chain(std::iter::repeat(None));
    let mut pairs = (1..).zip(lines.zip(found.lines().map(Some).chain(std::iter::repeat(None))));
    let differs = |(_, (was, is)): &(usize, (Option<&str>, Option<&str>))| was != is || was.is_none();
    let (number, (was, is)) = pairs.find(differs).unwrap_or_default();
    format!("line {number} was {was:?} and is {is:?}")
}
