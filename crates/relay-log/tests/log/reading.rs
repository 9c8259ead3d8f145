use std::fs;

use relay_log::{LogError, Options};
use tempfile::tempdir;

use crate::{SMALL, append_all, frames, open, read_all, segments};

/// The reader follows the writer at every distance, through buffers of every size.
#[test]
fn reading_behind_the_tail() {
    let frames = frames(40, 10);
    for (write_bytes, read_bytes) in [(1, 1), (150, 64), (100_000, 100_000), (1, 100_000), (100_000, 1)] {
        for distance in [0, 1, 7] {
            let dir = tempdir().unwrap();
            let (mut log, _) =
                open(dir.path(), Options { max_bytes: 1 << 20, write_bytes, read_bytes, ..SMALL });
            let mut read = Vec::new();
            for (i, frame) in frames.iter().enumerate() {
                append_all(&mut log, std::slice::from_ref(frame));
                if i >= distance {
                    read.extend(log.next_frame().unwrap());
                }
                if distance == 0 {
                    assert_eq!(log.next_frame().unwrap(), None);
                    log.release(frame.next).unwrap();
                    assert!(segments(dir.path()).len() <= 2);
                }
            }
            read.extend(read_all(&mut log));
            assert_eq!(read, frames, "written by {write_bytes}, read by {read_bytes}, {distance} behind");
        }
    }
}

#[test]
fn seeking_finds_the_frame_of_a_position() {
    let dir = tempdir().unwrap();
    let frames = frames(12, 30);
    let (mut log, _) = open(dir.path(), Options { max_bytes: 1 << 20, ..SMALL });
    assert!(matches!(log.seek(10), Err(LogError::OutOfRange { .. })));
    append_all(&mut log, &frames);
    let end = frames.last().unwrap().next;
    for position in (10..=end).rev().chain(10..=end) {
        log.seek(position).unwrap();
        let at = frames.iter().position(|frame| frame.next > position);
        assert_eq!(log.next_frame().unwrap().as_ref(), at.map(|at| &frames[at]), "from {position}");
    }
    for outside in [9, end + 1] {
        assert!(matches!(log.seek(outside), Err(LogError::OutOfRange { .. })));
    }
}

/// A target that is ahead of what was read: what it has is not handed out.
#[test]
fn released_frames_are_not_handed_out() {
    let frames = frames(12, 30);
    let end = frames.last().unwrap().next;
    for upto in 10..=end {
        let dir = tempdir().unwrap();
        let (mut log, _) = open(dir.path(), Options { max_bytes: 1 << 20, ..SMALL });
        append_all(&mut log, &frames);
        log.sync().unwrap();
        assert_eq!(log.next_frame().unwrap().as_ref(), frames.first());
        log.release(upto).unwrap();
        let left = read_all(&mut log);
        let kept = frames[1..].iter().filter(|frame| upto <= frames[0].next || frame.next > upto);
        assert!(left.iter().eq(kept), "released up to {upto}");
        let kept = log.positions().unwrap();
        assert!(kept.start <= upto && kept.end == end);
    }
}

/// A file that is changed while it is read is no frame, but an error.
#[test]
fn damage_under_an_open_log_is_found() {
    let dir = tempdir().unwrap();
    let (mut log, _) = open(dir.path(), SMALL);
    append_all(&mut log, &frames(3, 30));
    log.sync().unwrap();
    let path = &segments(dir.path())[0];
    let mut bytes = fs::read(path).unwrap();
    bytes[130] ^= 1;
    fs::write(path, bytes).unwrap();
    let error = log.next_frame().unwrap_err();
    assert!(matches!(error, LogError::Damaged { offset: 72, .. }), "{error}");
}

#[test]
fn synced_says_what_is_on_disk() {
    let dir = tempdir().unwrap();
    let (mut log, _) = open(dir.path(), Options { segment_bytes: 10_000, write_bytes: 10_000, ..SMALL });
    assert_eq!(log.synced(), None);
    log.sync().unwrap();
    let frames = frames(3, 30);
    append_all(&mut log, &frames[..2]);
    assert_eq!(log.synced(), None);
    log.sync().unwrap();
    assert_eq!(log.synced(), Some(frames[1].next));
    append_all(&mut log, &frames[2..]);
    assert_eq!(log.synced(), Some(frames[1].next));
    drop(log);
    let (log, recovered) = open(dir.path(), SMALL);
    assert_eq!((recovered.frames, log.synced()), (2, Some(frames[1].next)));
}
