use std::fs;
use std::path::Path;

use relay_log::segment::Fault;
use relay_log::{Frame, Identity, LogError, RelayLog};
use tempfile::tempdir;

use crate::{SMALL, SOURCE, append_all, frame, frames, identity, open, read_all, segments};

/// Several segments with several frames each, synced; the frames, and each segment's bytes.
fn build(dir: &Path) -> (Vec<Frame>, Vec<Vec<u8>>) {
    let frames = frames(9, 20);
    let (mut log, _) = open(dir, SMALL);
    append_all(&mut log, &frames);
    log.sync().unwrap();
    let bytes: Vec<Vec<u8>> = segments(dir).iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(bytes.len() >= 3);
    (frames, bytes)
}

/// How many frames lie wholly in the first `cut` bytes of a segment.
fn whole(bytes: &[u8], cut: usize) -> usize {
    let (mut at, mut count) = (72, 0);
    while let Some(length) = bytes.get(at..at + 4) {
        at += 48 + u32::from_le_bytes(length.try_into().unwrap()) as usize;
        count += usize::from(at <= cut);
    }
    count
}

#[test]
fn every_truncation_opens_to_the_longest_whole_prefix() {
    let dir = tempdir().unwrap();
    let (frames, segment_bytes) = build(dir.path());
    let mut before = 0;
    for (i, bytes) in segment_bytes.iter().enumerate() {
        for cut in 0..=bytes.len() {
            let dir = tempdir().unwrap();
            for (held, (name, bytes)) in segments_of(&frames, &segment_bytes).iter().enumerate() {
                let bytes = if held == i { &bytes[..cut] } else { bytes };
                if held <= i {
                    fs::write(dir.path().join(name), bytes).unwrap();
                }
            }
            let kept = before + whole(bytes, cut);
            let (mut log, recovered) = open(dir.path(), SMALL);
            assert_eq!(recovered.frames, kept as u64, "segment {i} cut at {cut}");
            assert_eq!(read_all(&mut log), frames[..kept]);
            if let Some(held) = log.positions() {
                assert_eq!(log.synced(), Some(held.end));
                let more = frame(held.end, held.end + 1, "behind the cut");
                append_all(&mut log, std::slice::from_ref(&more));
                assert_eq!(read_all(&mut log), [more]);
                log.sync().unwrap();
                drop(log);
                assert_eq!(open(dir.path(), SMALL).1.frames, kept as u64 + 1);
            } else {
                assert_eq!((i, cut < 72), (0, true));
            }
        }
        before += whole(bytes, bytes.len());
    }
}

/// The segments with their names.
fn segments_of(frames: &[Frame], segment_bytes: &[Vec<u8>]) -> Vec<(String, Vec<u8>)> {
    let mut before = 0;
    let named = segment_bytes.iter().map(|bytes| {
        let name = format!("{:020}.relay", frames[before].first);
        before += whole(bytes, bytes.len());
        (name, bytes.clone())
    });
    named.collect()
}

/// Where an error says the damage is.
fn place(error: &LogError) -> Option<(&Path, u64)> {
    match error {
        LogError::Damaged { path, offset, .. } => Some((path, *offset)),
        _ => None,
    }
}

#[test]
fn every_changed_bit_is_found() {
    let dir = tempdir().unwrap();
    let (frames, segment_bytes) = build(dir.path());
    let paths = segments(dir.path());
    for (i, bytes) in segment_bytes.iter().enumerate() {
        let is_last = i + 1 == segment_bytes.len();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            fs::write(&paths[i], &damaged).unwrap();
            match RelayLog::open(dir.path(), identity(), SMALL) {
                Err(error) => {
                    let (path, offset) =
                        place(&error).unwrap_or_else(|| panic!("bit {bit} of segment {i}: {error}"));
                    assert!(path == paths[i] && offset <= (bit / 8) as u64, "{error}");
                }
                Ok((mut log, recovered)) => {
                    assert!(is_last && recovered.torn_bytes > 0, "bit {bit} of segment {i} passed");
                    assert_eq!(read_all(&mut log), frames[..frames.len() - 1]);
                }
            }
        }
        fs::write(&paths[i], bytes).unwrap();
    }
}

/// A tail of zeros is what some file systems leave when the machine stops.
#[test]
fn a_tail_of_zeros_is_torn() {
    let dir = tempdir().unwrap();
    let (frames, segment_bytes) = build(dir.path());
    let paths = segments(dir.path());
    let last = paths.last().unwrap();
    for zeros in [1, 47, 48, 1000] {
        fs::write(last, [&segment_bytes.last().unwrap()[..], &vec![0; zeros]].concat()).unwrap();
        let (mut log, recovered) = open(dir.path(), SMALL);
        assert_eq!(recovered.torn_bytes, zeros as u64);
        assert_eq!(read_all(&mut log), frames);
    }
    fs::write(last, vec![0; 500]).unwrap();
    let (_, recovered) = open(dir.path(), SMALL);
    assert_eq!(recovered.torn_bytes, 500);
    assert_eq!(segments(dir.path()), paths[..paths.len() - 1]);
}

#[test]
fn a_cut_anywhere_but_at_the_end_is_damage() {
    let dir = tempdir().unwrap();
    let (_, segment_bytes) = build(dir.path());
    let paths = segments(dir.path());
    for cut in [0, 71, 72, 100, segment_bytes[0].len() - 1] {
        fs::write(&paths[0], &segment_bytes[0][..cut]).unwrap();
        let error = RelayLog::open(dir.path(), identity(), SMALL).unwrap_err();
        match cut {
            72 => assert!(matches!(error, LogError::Joint { .. }), "{error}"),
            _ => assert_eq!(place(&error).unwrap().0, paths[0]),
        }
    }
}

#[test]
fn missing_overlapping_and_misnamed_segments_are_refused() {
    let dir = tempdir().unwrap();
    let (_, segment_bytes) = build(dir.path());
    let paths = segments(dir.path());
    let fails = || RelayLog::open(dir.path(), identity(), SMALL).unwrap_err().to_string();

    fs::remove_file(&paths[1]).unwrap();
    assert!(fails().contains("but what is before it ends at"), "{}", fails());
    fs::write(&paths[1], &segment_bytes[1]).unwrap();

    let copy = dir.path().join("00000000000000000011.relay");
    fs::write(&copy, &segment_bytes[0]).unwrap();
    assert!(fails().contains("00011.relay"), "{}", fails());
    fs::rename(&copy, dir.path().join("11.relay")).unwrap();
    assert!(fails().contains("is not named like a segment"), "{}", fails());
    fs::remove_file(dir.path().join("11.relay")).unwrap();

    fs::write(&paths[0], &segment_bytes[1]).unwrap();
    assert!(fails().ends_with(&Fault::SegmentFields.to_string()), "{}", fails());
}

#[test]
fn a_log_of_another_flow_or_source_is_refused() {
    let dir = tempdir().unwrap();
    build(dir.path());
    let other_source = SOURCE.replace('6', "7");
    for other in [
        Identity::new(SOURCE, 2, 4).unwrap(),
        Identity::new(SOURCE, 1, 5).unwrap(),
        Identity::new(&other_source, 1, 4).unwrap(),
    ] {
        let error = RelayLog::open(dir.path(), other.clone(), SMALL).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, LogError::Foreign { .. }), "{text}");
        assert!(text.contains(&identity().to_string()) && text.contains(&other.to_string()), "{text}");
    }
}

/// A frame of one segment does not pass in another, even where its positions fit.
#[test]
fn a_frame_of_another_log_does_not_pass() {
    let (ours, theirs) = (tempdir().unwrap(), tempdir().unwrap());
    let frames = frames(2, 10);
    let (mut log, _) = open(ours.path(), SMALL);
    append_all(&mut log, &frames);
    log.sync().unwrap();
    drop(log);
    let (mut log, _) = RelayLog::open(theirs.path(), Identity::new(SOURCE, 2, 4).unwrap(), SMALL).unwrap();
    append_all(&mut log, &frames);
    log.sync().unwrap();
    drop(log);
    let path = &segments(ours.path())[0];
    let (our, their) = (fs::read(path).unwrap(), fs::read(&segments(theirs.path())[0]).unwrap());
    assert_eq!(our.len(), their.len());
    fs::write(path, [&our[..72], &their[72..]].concat()).unwrap();
    let error = RelayLog::open(ours.path(), identity(), SMALL).unwrap_err();
    assert!(matches!(error, LogError::Damaged { offset: 72, fault: Fault::Header, .. }), "{error}");
}

#[test]
fn a_log_is_open_once() {
    let dir = tempdir().unwrap();
    let (log, _) = open(dir.path(), SMALL);
    let error = RelayLog::open(dir.path(), identity(), SMALL).unwrap_err();
    assert!(matches!(error, LogError::Locked { .. }), "{error}");
    drop(log);
    open(dir.path(), SMALL);
}
