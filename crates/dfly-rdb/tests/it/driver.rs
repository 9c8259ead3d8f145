use bytes::BytesMut;
use dfly_rdb::{Config, Decoder, Error, Event};
use dfly_wire::Step;

/// All events of `input`, which arrives in parts of the sizes that `sizes` yields; and what is left behind the end.
///
/// Holds the decoder to its word: no event before the bytes that a `Need` asked for.
pub(crate) fn decode(
    input: &[u8],
    config: Config,
    mut sizes: impl FnMut() -> usize,
) -> Result<(Vec<Event>, Vec<u8>), Error> {
    let mut decoder = Decoder::new(config);
    let (mut src, mut rest, mut events) = (BytesMut::new(), input, Vec::new());
    let mut owed = 0_usize;
    loop {
        match decoder.decode(&mut src)? {
            Step::Ready(event) => {
                assert_eq!(owed, 0, "{event:?} came before the bytes that it needed");
                events.push(event);
            }
            Step::Need(_) if decoder.is_finished() || rest.is_empty() => break,
            Step::Need(n) => {
                let (part, behind) = rest.split_at(sizes().clamp(1, rest.len()));
                owed = owed.max(n.get()).saturating_sub(part.len());
                src.extend_from_slice(part);
                rest = behind;
            }
        }
    }
    assert_eq!(decoder.offset(), (input.len() - rest.len() - src.len()) as u64);
    src.extend_from_slice(rest);
    Ok((events, src.to_vec()))
}

/// All events of `input`, which is there at once.
pub(crate) fn decode_whole(input: &[u8], config: Config) -> Result<(Vec<Event>, Vec<u8>), Error> {
    decode(input, config, || usize::MAX)
}

/// Numbers that only look random: the same in every run.
#[derive(Debug)]
pub(crate) struct Lcg(pub(crate) u64);

impl Lcg {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// A configuration that cuts values into pieces of about `piece` bytes.
pub(crate) fn pieces_of(piece: usize) -> Config {
    let mut config = Config::default();
    config.limits.piece = piece;
    config
}
