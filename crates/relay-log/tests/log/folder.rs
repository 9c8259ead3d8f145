//! The folder that a log lies in.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::tempdir;

use super::{Appended, SMALL, append_all, frames, open, read_all, segments};

/// C42: only the owner reads what users have written.
#[test]
fn only_the_owner_reads_it() {
    let parent = tempdir().unwrap();
    let dir = parent.path().join("relay").join("0");
    let (mut log, _) = open(&dir, SMALL);
    append_all(&mut log, &frames(3, 40));
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(dir.parent().unwrap())), (0o700, 0o700));
    let files = segments(&dir);
    assert!(!files.is_empty() && files.iter().all(|file| mode(file) == 0o600), "{files:?}");
}

/// C35: a folder that was removed is made again, once the log begins anew.
#[test]
fn a_folder_that_was_removed_is_made_again() {
    let parent = tempdir().unwrap();
    let dir = parent.path().join("0");
    let (mut log, _) = open(&dir, SMALL);
    append_all(&mut log, &frames(4, 100));
    fs::remove_dir_all(&dir).unwrap();
    log.clear().unwrap();
    let again = frames(6, 100);
    append_all(&mut log, &again);
    assert_eq!(read_all(&mut log), again);
    assert!(dir.is_dir() && matches!(log.append(&frames(1, 1)[0]), Err(_) | Ok(Appended::Yes)));
}
