use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use relay_log::{Appended, Options};
use tempfile::tempdir;

use crate::{append_all, frame, open, read_all, segments};

/// The file that tells the test below where its log is: its own arguments are the harness'.
const PLACE: &str = "place";

const OPTIONS: Options = Options {
    segment_bytes: 1 << 20,
    max_bytes: 1 << 20,
    frame_bytes: 1 << 20,
    write_bytes: 3000,
    read_bytes: 1 << 20,
};

/// A limit on the size of files stands for a disk without space: the system writes a part and refuses the rest. The limit
/// holds for a process, so the test runs once more, in one of its own.
#[test]
fn a_full_disk_leaves_the_log_consistent() {
    let dir = tempdir().unwrap();
    fs::create_dir(dir.path().join(PLACE)).unwrap();
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 20; exec \"$0\" \"$@\""])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "disk_full::under_a_limit", "--ignored", "--nocapture"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&status.stdout);
    assert!(status.status.success() && text.contains("1 passed"), "{text}");

    let place = dir.path().join(PLACE);
    let held = segments(&place).iter().map(|path| fs::metadata(path).unwrap().len()).sum::<u64>();
    let (mut log, recovered) = open(&place, OPTIONS);
    assert_eq!(recovered.torn_bytes, 0);
    assert_eq!(log.size(), held);
    // With space again, the log goes on where it was.
    let next = log.positions().unwrap().end;
    assert!(next >= 3, "{next} frames");
    append_all(&mut log, &[frame(next, next + 1, vec![9; 20_000])]);
    log.sync().unwrap();
    assert_eq!(read_all(&mut log).len() as u64, next + 1);
}

#[test]
#[ignore = "run by the test above, under a limit"]
fn under_a_limit() {
    let place = Path::new(PLACE);
    assert!(place.is_dir());
    let (mut log, _) = open(place, OPTIONS);
    let mut next = 0;
    let failed = loop {
        match log.append(&frame(next, next + 1, vec![7; 1000])) {
            Ok(Appended::Yes) => next += 1,
            Ok(Appended::Full) => unreachable!("the limit is below the bound"),
            Err(error) => break error,
        }
        assert!(next < 100);
    };
    assert!(failed.is_no_space(), "{failed}");
    assert!(failed.to_string().contains("where it still ends"), "{failed}");
    assert_eq!(log.positions(), Some(0..next));
    // What could not be written is still there to be read, and the same again is no worse.
    let large = frame(next, next + 1, vec![7; 20_000]);
    assert!(log.append(&large).unwrap_err().is_no_space());
    assert!(log.sync().unwrap_err().is_no_space());
    assert_eq!(log.positions(), Some(0..next));
    let read = read_all(&mut log);
    assert_eq!(read.len() as u64, next);
    assert!(read.iter().all(|frame| frame.body == vec![7; 1000]));
}
