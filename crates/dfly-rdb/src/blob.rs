//! Compressed blobs (protocol section 4.3): one frame each, decompressed as a whole, up to a limit.

use std::io::Read;

use dfly_wire::Limits;

use crate::error::BlobError;
use crate::opcode;

/// Decompresses the frame of a blob with the opcode `opcode`.
pub(crate) fn decompress(opcode: u8, frame: &[u8], limits: &Limits) -> Result<Vec<u8>, BlobError> {
    if opcode == opcode::LZ4_BLOB { lz4(frame, limits) } else { zstd(frame, limits) }
}

fn lz4(frame: &[u8], limits: &Limits) -> Result<Vec<u8>, BlobError> {
    let mut decoder = lz4_flex::frame::FrameDecoder::new(frame);
    let out = drain(&mut decoder, frame.len(), limits)?;
    match decoder.into_inner() {
        [] => Ok(out),
        rest => Err(BlobError::Trailing(rest.len())),
    }
}

#[cfg(feature = "zstd")]
fn zstd(frame: &[u8], limits: &Limits) -> Result<Vec<u8>, BlobError> {
    let damaged = |error: std::io::Error| BlobError::Damaged(error.to_string());
    let mut decoder = zstd::stream::read::Decoder::with_buffer(frame).map_err(damaged)?.single_frame();
    decoder.window_log_max(window_log(limits.blob)).map_err(damaged)?;
    let out = drain(&mut decoder, frame.len(), limits)?;
    match decoder.finish() {
        [] => Ok(out),
        rest => Err(BlobError::Trailing(rest.len())),
    }
}

/// The base-2 logarithm of the largest window that a frame may use: enough for a blob of `limit` bytes, and 128 MiB at most.
#[cfg(feature = "zstd")]
fn window_log(limit: usize) -> u32 {
    limit.max(1).next_power_of_two().ilog2().clamp(10, 27)
}

#[cfg(not(feature = "zstd"))]
fn zstd(_frame: &[u8], _limits: &Limits) -> Result<Vec<u8>, BlobError> {
    Err(BlobError::NoZstd)
}

/// Reads the whole output of `decoder`. More than `limits.blob` bytes are an error.
fn drain(decoder: &mut impl Read, stored: usize, limits: &Limits) -> Result<Vec<u8>, BlobError> {
    let ahead = stored.saturating_mul(2).min(limits.preallocation).min(limits.blob);
    let mut out = Vec::with_capacity(ahead);
    let most = (limits.blob as u64).saturating_add(1);
    decoder.take(most).read_to_end(&mut out).map_err(|error| BlobError::Damaged(error.to_string()))?;
    if out.len() > limits.blob {
        return Err(BlobError::OverLimit { limit: limits.blob });
    }
    Ok(out)
}
