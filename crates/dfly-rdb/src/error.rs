//! What can be wrong with a stream or a value, and where.

use std::fmt;

use dfly_wire::FaultKind;
use thiserror::Error;

/// Why a stream cannot be decoded, and where.
///
/// After an error the decoder returns the same error again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Bytes of the outer stream before the place of the fault; for a fault inside a compressed blob or a tagged chunk,
    /// before the end of the blob or chunk.
    pub offset: u64,
    /// Inside a decompressed blob: bytes of it before the place of the fault.
    pub in_blob: Option<u64>,
    /// The opcode or type id of the item, if it was read.
    pub opcode: Option<u8>,
    /// The key of the item, if it has one and it was read.
    pub key: Option<KeyExcerpt>,
    /// What is wrong.
    pub kind: ErrorKind,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.key, self.opcode) {
            (Some(key), Some(type_id)) => write!(f, "value of key {key} (type {type_id}): ")?,
            (Some(key), None) => write!(f, "value of key {key}: ")?,
            (None, Some(opcode)) if !self.kind.names_opcode() => write!(f, "item 0x{opcode:02x}: ")?,
            (None, _) => {}
        }
        write!(f, "{} at offset {}", self.kind, self.offset)?;
        match self.in_blob {
            Some(inner) => write!(f, " (byte {inner} of the blob that ends there)"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.kind)
    }
}

/// What is wrong with a stream.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The stream starts with neither `REDIS` nor `VALKEY` and a version.
    #[error("no magic of a snapshot")]
    Magic,
    /// No item starts with this byte, or none that can be read without more knowledge.
    #[error("unknown opcode 0x{0:02x}")]
    UnknownOpcode(u8),
    /// The item cannot stand here: inside a blob or chunk, or between a key's attributes and its type.
    #[error("misplaced opcode 0x{0:02x}")]
    MisplacedOpcode(u8),
    /// Bytes that can never become valid.
    #[error(transparent)]
    Malformed(FaultKind),
    /// A string of the item cannot be decompressed.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A compressed blob cannot be decompressed.
    #[error("compressed blob: {0}")]
    Blob(BlobError),
    /// The blob ended in the middle of an item.
    #[error("the blob ends in the middle of an item")]
    BlobTruncated,
    /// More values are unfinished than the limit allows.
    #[error("more than {limit} values are unfinished")]
    OpenValues {
        /// `Limits::open_values`.
        limit: usize,
    },
    /// The unfinished chunked values hold more bytes than the limit allows.
    #[error("unfinished values hold more than {limit} bytes")]
    OpenBytes {
        /// `Config::open_bytes`.
        limit: usize,
    },
    /// A chunk has bytes behind the end of its value.
    #[error("{0} bytes follow the end of a chunked value")]
    ChunkTrailing(usize),
    /// The stream ended while a chunked value was unfinished.
    #[error("the stream ends with {count} unfinished values, this is one")]
    Unfinished {
        /// How many values are unfinished.
        count: usize,
    },
    /// The checksum at the end is not that of the bytes.
    #[error("checksum {stated:#018x}, but the bytes make {computed:#018x}")]
    Checksum {
        /// The checksum in the stream.
        stated: u64,
        /// The checksum of the bytes before it.
        computed: u64,
    },
}

impl ErrorKind {
    fn names_opcode(&self) -> bool {
        matches!(self, Self::UnknownOpcode(_) | Self::MisplacedOpcode(_))
    }
}

/// Why a compressed blob was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BlobError {
    /// It makes more bytes than `Limits::blob`.
    #[error("more than {limit} bytes come out of it")]
    OverLimit {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The frame is damaged; the text is the decompressor's.
    #[error("damaged frame ({0})")]
    Damaged(String),
    /// Bytes stand behind the frame.
    #[error("{0} bytes follow the frame")]
    Trailing(usize),
    /// This build cannot decompress zstd.
    #[error("zstd is not built in (feature `zstd`)")]
    NoZstd,
}

/// Why a value's payload cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The payload ends too early.
    #[error("the payload ends at byte {at}, in the middle of an element")]
    Truncated {
        /// Bytes of the payload.
        at: usize,
    },
    /// Bytes follow the value.
    #[error("bytes follow the value at byte {at} of the payload")]
    Trailing {
        /// Bytes of the payload before them.
        at: usize,
    },
    /// Bytes that can never become valid.
    #[error("{kind} at byte {at} of the payload")]
    Malformed {
        /// Bytes of the payload before the fault.
        at: usize,
        /// What is wrong.
        kind: FaultKind,
    },
    /// A listpack, ziplist, intset or zipmap breaks the rules of its format.
    #[error("{container}: {problem} at byte {at} of it")]
    Container {
        /// Which format.
        container: &'static str,
        /// Bytes of the container before the fault.
        at: usize,
        /// The rule that is broken.
        problem: &'static str,
    },
    /// A compressed string cannot be decompressed.
    #[error("lzf string: {problem}")]
    Lzf {
        /// The rule that is broken.
        problem: &'static str,
    },
    /// A score is not a number.
    #[error("a score is not a number")]
    Score,
    /// An expiry is not a number.
    #[error("an expiry is not a number")]
    Expiry,
    /// A container of pairs has an element too few.
    #[error("a field or member without its value")]
    Unpaired,
    /// A node of a stream breaks the rules of its format.
    #[error("stream node: {0}")]
    StreamNode(&'static str),
    /// A consumer owns an entry that its group does not have pending.
    #[error("a consumer owns an entry that is not pending")]
    NotPending,
}

/// Why a DUMP payload was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DumpError {
    /// Shorter than a type, a version and a checksum.
    #[error("{0} bytes are too few for a payload")]
    TooShort(usize),
    /// The checksum is not that of the bytes.
    #[error("checksum {stated:#018x}, but the bytes make {computed:#018x}")]
    Checksum {
        /// The checksum in the payload.
        stated: u64,
        /// The checksum of the bytes before it.
        computed: u64,
    },
    /// The type id is unknown in payloads of that version.
    #[error("unknown type {type_id} in a payload of version {version}")]
    UnknownType {
        /// The first byte.
        type_id: u8,
        /// The version in the footer.
        version: u16,
    },
    /// The value does not end where the payload ends, or is malformed.
    #[error(transparent)]
    Value(#[from] ValueError),
}

/// A key as errors show it: quoted, escaped, and cut after [`KeyExcerpt::LIMIT`] bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyExcerpt(String);

impl KeyExcerpt {
    /// How many bytes of a key are shown.
    pub const LIMIT: usize = 64;

    /// The excerpt of `key`.
    pub fn new(key: &[u8]) -> Self {
        let (shown, cut) = key.split_at_checked(Self::LIMIT).unwrap_or((key, &[]));
        let ellipsis = if cut.is_empty() { "" } else { "..." };
        Self(format!("\"{}\"{ellipsis}", shown.escape_ascii()))
    }
}

impl fmt::Display for KeyExcerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
