//! Events do not depend on how the bytes arrive, and bytes that are not there are asked for (P13).

use bytes::BytesMut;
use dfly_rdb::{Config, Decoder, Event};
use dfly_wire::Step;

use crate::driver::{Lcg, decode, decode_whole, pieces_of};
use crate::model::keyspace;
use crate::{built, inputs};

/// All recorded streams.
fn recorded() -> Vec<Vec<u8>> {
    let snapshots = inputs::folders(&inputs::snapshots());
    let captures = inputs::folders(&inputs::captures());
    let files = snapshots.iter().flat_map(|folder| inputs::files(folder));
    let flows = captures.iter().flat_map(|folder| inputs::flows(folder)).map(|flow| flow.stream);
    files.chain(flows).chain([inputs::vector()]).collect()
}

fn same_however_cut(input: &[u8], config: Config, sizes: impl FnMut() -> usize) {
    let whole = decode_whole(input, config).unwrap();
    let cut = decode(input, config, sizes).unwrap();
    assert_eq!(cut.1, whole.1);
    assert!(cut.0 == whole.0, "the events differ");
}

#[test]
fn recorded_streams_in_random_parts() {
    let mut lcg = Lcg(7);
    for input in recorded() {
        let most = 1 + lcg.below(5000);
        same_however_cut(&input, Config::default(), || 1 + lcg.below(most));
    }
}

#[test]
fn recorded_streams_by_sevens_and_in_small_pieces() {
    for input in recorded() {
        same_however_cut(&input, pieces_of(600), || 7);
    }
}

#[test]
fn recorded_streams_byte_by_byte() {
    for folder in inputs::folders(&inputs::snapshots()) {
        inputs::files(&folder).iter().for_each(|file| same_however_cut(file, pieces_of(600), || 1));
    }
    same_however_cut(&inputs::vector(), Config::default(), || 1);
}

#[test]
fn pieces_hold_what_whole_values_hold() {
    for input in recorded() {
        let huge = pieces_of(usize::MAX >> 2);
        let whole = decode_whole(&input, huge).unwrap().0;
        assert!(whole.iter().all(|event| !matches!(event, Event::Open { .. })));
        for piece in [1, 64, 4000] {
            let cut = decode_whole(&input, pieces_of(piece)).unwrap().0;
            assert!(keyspace(&cut) == keyspace(&whole));
            check_bounds(&cut, piece);
        }
    }
}

/// The bytes of the pieces are the payload, and no piece but the last is smaller than was asked for.
fn check_bounds(events: &[Event], piece: usize) {
    for (event, next) in events.iter().zip(&events[1..]) {
        if let (Event::Piece { id, piece: found }, Event::Piece { id: other, .. }) = (event, next)
            && id == other
        {
            assert!(found.bytes().len() >= piece);
        }
    }
}

#[test]
fn every_built_stream_however_cut() {
    let mut lcg = Lcg(1);
    for (name, input) in built::streams() {
        for piece in [1, 16, 1 << 16] {
            let whole =
                decode_whole(&input, pieces_of(piece)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(matches!(whole.0.last(), Some(Event::End { .. })), "{name}");
            for size in [1, 2, 3, 7, 0] {
                let mut next = || if size == 0 { 1 + lcg.below(40) } else { size };
                assert_eq!(decode(&input, pieces_of(piece), &mut next).unwrap(), whole, "{name}");
            }
        }
    }
}

#[test]
fn every_prefix_of_a_stream_asks_for_more() {
    for (name, input) in built::streams().into_iter().chain([("the annotated flow", annotated())]) {
        for cut in 0..input.len() {
            let mut decoder = Decoder::new(pieces_of(16));
            let mut src = BytesMut::from(&input[..cut]);
            loop {
                match decoder.decode(&mut src) {
                    Ok(Step::Ready(Event::End { .. })) => panic!("{name}: an end at {cut}"),
                    Ok(Step::Ready(_)) => {}
                    Ok(Step::Need(n)) if n.get() <= input.len() - cut => break,
                    other => panic!("{name}: {other:?} at {cut} of {}", input.len()),
                }
            }
        }
    }
}

/// The annotated flow up to its end.
fn annotated() -> Vec<u8> {
    let mut input = inputs::vector();
    let rest = decode_whole(&input, Config::default()).unwrap().1.len();
    input.truncate(input.len() - rest);
    input
}

#[test]
fn nothing_is_taken_behind_the_end() {
    let mut input = BytesMut::from(&annotated()[..]);
    input.extend_from_slice(b"token and journal");
    let mut decoder = Decoder::new(Config::default());
    while !decoder.is_finished() {
        assert!(matches!(decoder.decode(&mut input).unwrap(), Step::Ready(_)));
    }
    for _ in 0..2 {
        assert!(matches!(decoder.decode(&mut input).unwrap(), Step::Need(_)));
        assert_eq!(&input[..], b"token and journal");
    }
}
