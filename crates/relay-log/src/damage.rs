//! What is wrong with the bytes of a segment, and how many of them are still missing.

use std::num::NonZeroUsize;

use dfly_wire::Step;
use thiserror::Error;

/// Damage of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file is not a segment.
    #[error("it does not begin as a segment does")]
    Magic,
    /// The segment was written by a later version.
    #[error("its format is {0}, but only format 1 is known")]
    Format(u32),
    /// The header of the segment is damaged.
    #[error("the checksum of the segment's header is wrong")]
    SegmentHeader,
    /// The header contradicts itself or the name of the file.
    #[error("the segment's header contradicts itself or the file's name")]
    SegmentFields,
    /// The header of a frame is damaged.
    #[error("the checksum of a frame's header is wrong")]
    Header,
    /// The body of a frame is damaged.
    #[error("the checksum of a frame's body is wrong")]
    Body {
        /// Size of the frame with its header, in bytes.
        size: usize,
    },
    /// A frame is larger than the reader accepts.
    #[error("a frame of {found} bytes is over the limit of {limit}")]
    OverLimit {
        /// Length of its body, in bytes.
        found: usize,
        /// The largest accepted length, in bytes.
        limit: usize,
    },
    /// A frame does not begin where the previous one ends, or ends before it begins.
    #[error("a frame holds positions {first} to {next}, but {expected} is next")]
    Position {
        /// The first position of the frame.
        first: u64,
        /// The position after the frame.
        next: u64,
        /// The position after the previous frame.
        expected: u64,
    },
    /// The file ends inside a header or a frame.
    #[error("it ends inside a frame")]
    Cut,
}

/// The step for `have` of `size` bytes.
pub(crate) fn missing<T>(size: usize, have: usize) -> Step<T> {
    Step::Need(NonZeroUsize::new(size.saturating_sub(have)).unwrap_or(NonZeroUsize::MIN))
}
