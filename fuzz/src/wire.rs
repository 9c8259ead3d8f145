//! Journal records and replies.

use std::fmt::Debug;

use bytes::BytesMut;
use dfly_journal::{Lsn, Record};
use dfly_wire::Step;
use redis_resp::{Outcome, Reply};

use crate::Sizes;

/// The items that `decode` makes of `input`, which arrives in parts, its error, and how many bytes it left.
pub(crate) fn items<T, E>(
    input: &[u8],
    mut sizes: impl FnMut() -> usize,
    mut decode: impl FnMut(&mut BytesMut) -> Result<Step<T>, E>,
) -> (Vec<T>, Option<E>, usize) {
    let (mut src, mut rest, mut items) = (BytesMut::new(), input, Vec::new());
    loop {
        match decode(&mut src) {
            Err(error) => return (items, Some(error), 0),
            Ok(Step::Ready(item)) => items.push(item),
            Ok(Step::Need(_)) if rest.is_empty() => return (items, None, src.len()),
            Ok(Step::Need(_)) => {
                let (part, behind) = rest.split_at(sizes().clamp(1, rest.len()));
                src.extend_from_slice(part);
                rest = behind;
            }
        }
    }
}

fn same_however_cut<T: Debug + PartialEq, E: Debug + PartialEq, D>(data: &[u8], decoder: impl Fn() -> D)
where
    D: FnMut(&mut BytesMut) -> Result<Step<T>, E>,
{
    let whole = items(data, || usize::MAX, decoder());
    for mut sizes in Sizes::all(data) {
        assert_eq!(items(data, || sizes.next(), decoder()), whole);
    }
}

/// A journal gives the same records and the same error however it arrives, as a stream and as blobs. The first two bytes
/// are the LSN of its first record.
pub fn journal_split(data: &[u8]) {
    let Some((first, data)) = data.split_first_chunk::<2>() else { return };
    let first = Lsn(u16::from_le_bytes(*first).into());
    for start in [dfly_journal::Decoder::stream(first), dfly_journal::Decoder::blobs()] {
        same_however_cut(data, || {
            let mut decoder = start.clone();
            move |src: &mut BytesMut| decoder.decode(src)
        });
        let mut decoder = start.clone();
        let (records, ..) = items(data, || usize::MAX, |src| decoder.decode(src));
        records.iter().for_each(read);
    }
}

fn read(record: &Record) {
    if let Record::Command(command) = record {
        assert!(command.args.iter().count() > 0, "a command has a name");
    }
}

/// Replies are the same however they arrive, and outcomes pair with them.
pub fn resp_split(data: &[u8]) {
    same_however_cut(data, || Reply::decode);
    same_however_cut(data, || Outcome::decode);
    let (replies, error, _) = items(data, || usize::MAX, Reply::decode);
    let (outcomes, ..) = items(data, || usize::MAX, Outcome::decode);
    assert!(outcomes.len() >= replies.len());
    for (reply, outcome) in replies.iter().zip(&outcomes) {
        assert_eq!(matches!(reply, Reply::Error(_)), matches!(outcome, Outcome::Refused(_)));
    }
    assert!(error.is_some() || outcomes.len() == replies.len());
}
