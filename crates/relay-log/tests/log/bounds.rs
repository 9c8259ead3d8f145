use relay_log::{Appended, LogError, Options};
use tempfile::tempdir;

use crate::{SMALL, append_all, frame, open, read_all, segments};

#[test]
fn a_full_log_takes_more_when_it_was_released() {
    let dir = tempdir().unwrap();
    let (mut log, _) = open(dir.path(), SMALL);
    let (mut next, mut rounds) = (0, 0);
    for _ in 0..50 {
        match log.append(&frame(next, next + 1, vec![7; 60])).unwrap() {
            Appended::Yes => next += 1,
            Appended::Full => {
                rounds += 1;
                let held = log.positions().unwrap();
                assert_eq!(held.end, next);
                assert!(log.size() + 60 + 48 > SMALL.max_bytes - 72);
                log.release(held.start + (held.end - held.start) / 2).unwrap();
                assert!(log.positions().unwrap().start > held.start);
            }
        }
        assert!(log.size() <= SMALL.max_bytes);
    }
    assert!(rounds > 3 && next > 40, "{rounds} rounds, {next} frames");
    log.sync().unwrap();
    let on_disk: u64 = segments(dir.path()).iter().map(|path| path.metadata().unwrap().len()).sum();
    assert_eq!(log.size(), on_disk);
}

/// One segment may be all there is room for: it is given up when it is wholly released and the next one is begun.
#[test]
fn a_log_of_one_segment_turns_over() {
    let options = Options { segment_bytes: 300, max_bytes: 320, ..SMALL };
    let dir = tempdir().unwrap();
    let (mut log, _) = open(dir.path(), options);
    append_all(&mut log, &[frame(0, 1, vec![1; 60]), frame(1, 2, vec![2; 60])]);
    let more = frame(2, 3, vec![3; 60]);
    assert_eq!(log.append(&more).unwrap(), Appended::Full);
    log.release(1).unwrap();
    assert_eq!(log.append(&more).unwrap(), Appended::Full);
    log.release(2).unwrap();
    assert_eq!(log.append(&more).unwrap(), Appended::Yes);
    assert_eq!(log.positions(), Some(2..3));
    assert_eq!(read_all(&mut log), [more]);
    assert_eq!(segments(dir.path()).len(), 1);
}

#[test]
fn a_frame_larger_than_a_segment_has_one_of_its_own() {
    let dir = tempdir().unwrap();
    let (mut log, _) = open(dir.path(), SMALL);
    let frames = [frame(5, 6, "small"), frame(6, 9, vec![b'x'; 900]), frame(9, 10, "small")];
    append_all(&mut log, &frames);
    assert_eq!(read_all(&mut log), frames);
    log.sync().unwrap();
    assert_eq!(segments(dir.path()).len(), 3);
    drop(log);
    let (mut log, recovered) = open(dir.path(), SMALL);
    assert_eq!((recovered.positions, recovered.frames, recovered.torn_bytes), (Some(5..10), 3, 0));
    assert_eq!(read_all(&mut log), frames);
    log.release(9).unwrap();
    assert_eq!(log.positions(), Some(9..10));
}

#[test]
fn what_is_never_appended() {
    let dir = tempdir().unwrap();
    let (mut log, _) = open(dir.path(), SMALL);
    let error = log.append(&frame(5, 4, "")).unwrap_err();
    assert!(matches!(error, LogError::Position { first: 5, next: 4, .. }), "{error}");
    append_all(&mut log, &[frame(5, 7, "")]);
    for first in [0, 5, 6, 8] {
        let error = log.append(&frame(first, 9, "")).unwrap_err();
        assert!(matches!(error, LogError::Position { expected: 7, .. }), "{error}");
    }
    let error = log.append(&frame(7, 8, vec![0; 1001])).unwrap_err();
    assert!(matches!(error, LogError::TooLarge { bytes: 1001, limit: 1000 }), "{error}");
    let error = log.release(8).unwrap_err();
    assert!(matches!(error, LogError::OutOfRange { position: 8, first: 5, next: 7 }), "{error}");
    assert_eq!(log.positions(), Some(5..7));
    assert_eq!(read_all(&mut log), [frame(5, 7, "")]);
}

/// Frames that count nothing do not make two segments of one name.
#[test]
fn frames_without_positions_share_a_segment() {
    let dir = tempdir().unwrap();
    let (mut log, _) = open(dir.path(), SMALL);
    let frames: Vec<_> =
        (0..6).map(|_| frame(5, 5, vec![1; 80])).chain([frame(5, 6, ""), frame(6, 7, "")]).collect();
    append_all(&mut log, &frames);
    assert_eq!(read_all(&mut log), frames);
    log.sync().unwrap();
    assert_eq!(segments(dir.path()).len(), 2);
    drop(log);
    assert_eq!(read_all(&mut open(dir.path(), SMALL).0), frames);
}

#[test]
fn a_cleared_log_is_fresh() {
    let dir = tempdir().unwrap();
    let (mut log, _) = open(dir.path(), SMALL);
    append_all(&mut log, &crate::frames(8, 30));
    assert!(log.next_frame().unwrap().is_some());
    log.clear().unwrap();
    assert_eq!((log.positions(), log.synced(), log.size()), (None, None, 0));
    assert_eq!(log.next_frame().unwrap(), None);
    assert!(segments(dir.path()).is_empty());
    let again = frame(3, 4, "from another position");
    append_all(&mut log, std::slice::from_ref(&again));
    assert_eq!(read_all(&mut log), [again]);
}
