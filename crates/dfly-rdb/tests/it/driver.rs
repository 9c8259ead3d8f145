use bytes::BytesMut;
use dfly_rdb::{Config, Decoder, Error, Event};
use dfly_wire::Step;

/// All events of `input`, which arrives in parts of the sizes that `sizes` yields; and what is left behind the end.
pub(crate) fn decode(
    input: &[u8],
    config: Config,
    mut sizes: impl FnMut() -> usize,
) -> Result<(Vec<Event>, Vec<u8>), Error> {
    let mut decoder = Decoder::new(config);
    let (mut src, mut rest, mut events) = (BytesMut::new(), input, Vec::new());
    loop {
        match decoder.decode(&mut src)? {
            Step::Ready(event) => events.push(event),
            Step::Need(_) if decoder.is_finished() || rest.is_empty() => break,
            Step::Need(_) => {
                let (part, behind) = rest.split_at(sizes().clamp(1, rest.len()));
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
