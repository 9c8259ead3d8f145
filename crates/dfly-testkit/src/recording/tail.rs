//! Finds the end of a flow's snapshot without decoding the snapshot (protocol section 2.5).
//!
//! Only journal blobs and compressed blobs of them may follow FULLSYNC_END, until JOURNAL_OFFSET, EOF and the token. So the
//! search goes backwards from the token to the last place from which such a run leads exactly to the token.

use bytes::Bytes;
use dfly_wire::packed::{self, Length};
use dfly_wire::{Parsed, Step, commit, fixed};

const FULLSYNC_END: &[u8] = &[200, 0, 0, 0, 0, 0, 0, 0, 0];
const ZSTD_BLOB: u8 = 201;
const LZ4_BLOB: u8 = 202;
const JOURNAL_BLOB: u8 = 210;
const JOURNAL_OFFSET: u8 = 211;
const EOF: &[u8] = &[255, 0, 0, 0, 0, 0, 0, 0, 0];

/// The maximum size of a recorded blob in bytes, compressed or not.
const BLOB_LIMIT: usize = 64 << 20;

/// Where a full flow's phases end, in bytes of its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tail {
    /// The end of FULLSYNC_END, or of the blob that contains it.
    pub(super) fullsync_end: usize,
    /// The end of the token.
    pub(super) token_end: usize,
    /// The LSN of the journal's first record.
    pub(super) journal_offset: u64,
}

pub(super) fn find(stream: &Bytes, token: &str) -> Option<Tail> {
    let token_at = stream.windows(token.len()).position(|w| w == token.as_bytes())?;
    let eof_at = token_at.checked_sub(EOF.len())?;
    let snapshot = stream.slice(..eof_at);
    if stream.get(eof_at..token_at) != Some(EOF) {
        return None;
    }
    let (fullsync_end, journal_offset) = (0..eof_at).rev().find_map(|at| ends_at(&snapshot, at))?;
    Some(Tail { fullsync_end, token_end: token_at + token.len(), journal_offset })
}

/// The end of FULLSYNC_END, or of a blob that contains it, and the JOURNAL_OFFSET. `None` unless it is at `at` and only
/// journal items follow.
fn ends_at(snapshot: &Bytes, at: usize) -> Option<(usize, u64)> {
    let here = snapshot.slice(at..);
    match *here.first()? {
        200 if here.starts_with(FULLSYNC_END) => {
            let end = at + FULLSYNC_END.len();
            offset_behind(snapshot.slice(end..)).map(|lsn| (end, lsn))
        }
        ZSTD_BLOB | LZ4_BLOB => {
            let mut rest = here;
            let inner = blob(&mut rest)?;
            let mark = inner.windows(FULLSYNC_END.len()).rposition(|w| w == FULLSYNC_END)?;
            let in_blob = run(inner.slice(mark + FULLSYNC_END.len()..))?;
            let behind = run(rest.clone())?;
            in_blob.or(behind).map(|lsn| (snapshot.len() - rest.len(), lsn))
        }
        _ => None,
    }
}

fn offset_behind(rest: Bytes) -> Option<u64> {
    run(rest).flatten()
}

/// Walks a run of journal items to its end. The outer `Option` is `None` if there are other items. The inner one is `None`
/// if JOURNAL_OFFSET is not among them.
fn run(mut rest: Bytes) -> Option<Option<u64>> {
    let mut found = None;
    while let Some(opcode) = rest.first() {
        found = match *opcode {
            JOURNAL_BLOB => journal_blob(&mut rest).map(|()| found)?,
            JOURNAL_OFFSET => Some(journal_offset(&mut rest)?),
            ZSTD_BLOB | LZ4_BLOB => run(blob(&mut rest)?)?.or(found),
            _ => return None,
        };
    }
    Some(found)
}

fn journal_blob(rest: &mut Bytes) -> Option<()> {
    ready(rest, |input| {
        let (input, _opcode) = fixed::u8(input)?;
        let (input, _count) = packed::uint(input)?;
        let (input, form) = packed::length(input)?;
        match form {
            Length::Plain(len) => skip(input, usize::try_from(len).unwrap_or(BLOB_LIMIT)),
            Length::Encoded(3) => {
                let (input, compressed) = packed::size(input, BLOB_LIMIT)?;
                let (input, _plain) = packed::size(input, BLOB_LIMIT)?;
                skip(input, compressed)
            }
            Length::Encoded(width) => skip(input, 1 << width.min(2)),
        }
    })
}

fn skip(input: &[u8], n: usize) -> Parsed<'_, ()> {
    fixed::bytes(input, n).map(|(rest, _)| (rest, ()))
}

fn journal_offset(rest: &mut Bytes) -> Option<u64> {
    ready(rest, |input| {
        let (input, _opcode) = fixed::u8(input)?;
        fixed::u64_le(input)
    })
}

/// The decompressed content of the blob at the start of `rest`. Moves `rest` past the blob.
fn blob(rest: &mut Bytes) -> Option<Bytes> {
    let (opcode, frame) = ready(rest, |input| {
        let (input, opcode) = fixed::u8(input)?;
        let (input, len) = packed::size(input, BLOB_LIMIT)?;
        let (input, frame) = fixed::bytes(input, len)?;
        Ok((input, (opcode, frame.to_vec())))
    })?;
    decompress(opcode, &frame)
}

fn decompress(opcode: u8, frame: &[u8]) -> Option<Bytes> {
    let mut plain = Vec::new();
    match opcode {
        LZ4_BLOB if frame.starts_with(&[0x04, 0x22, 0x4d, 0x18]) => {
            std::io::copy(&mut lz4_flex::frame::FrameDecoder::new(frame), &mut plain).ok()?;
        }
        ZSTD_BLOB if frame.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) => {
            zstd::stream::copy_decode(frame, &mut plain).ok()?;
        }
        _ => return None,
    }
    Some(plain.into())
}

fn ready<T>(rest: &mut Bytes, parse: impl for<'a> FnOnce(&'a [u8]) -> Parsed<'a, T>) -> Option<T> {
    match commit(rest, parse) {
        Ok(Step::Ready(value)) => Some(value),
        Ok(Step::Need(_)) | Err(_) => None,
    }
}
