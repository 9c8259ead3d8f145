//! Errors of streams, values and payloads.

use std::fmt;

use dfly_wire::FaultKind;
use thiserror::Error;

/// Why a stream cannot be decoded, and where. Every further call of the decoder returns the same error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Offset of the fault in the outer stream, in bytes. For a fault inside a compressed blob or a tagged chunk: the offset
    /// of the end of the blob or chunk.
    pub offset: u64,
    /// For a fault inside a compressed blob: its offset in the decompressed bytes.
    pub in_blob: Option<u64>,
    /// The opcode or type id of the item, if known.
    pub opcode: Option<u8>,
    /// The key of the item, if known.
    pub key: Option<KeyExcerpt>,
    /// The kind of the fault.
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

/// The kind of a fault in a stream.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The stream does not start with `REDIS` or `VALKEY` and a version.
    #[error("no snapshot header (REDIS or VALKEY and a version)")]
    Magic,
    /// No known item starts with this byte.
    #[error("unknown opcode 0x{0:02x}")]
    UnknownOpcode(u8),
    /// The item is not allowed inside a blob or chunk, or between the attributes of a key and its type.
    #[error("misplaced opcode 0x{0:02x}")]
    MisplacedOpcode(u8),
    /// No continuation of the bytes is valid.
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
    /// More values are incomplete than the limit allows.
    #[error("more than {limit} values are unfinished")]
    OpenValues {
        /// `Limits::open_values`.
        limit: usize,
    },
    /// The incomplete chunked values occupy more bytes than the limit allows.
    #[error("unfinished values hold more than {limit} bytes")]
    OpenBytes {
        /// `Config::open_bytes`.
        limit: usize,
    },
    /// Bytes follow the end of a value in its chunk.
    #[error("{0} bytes follow the end of a chunked value")]
    ChunkTrailing(usize),
    /// A chunked value is incomplete at the end of the stream.
    #[error("the stream ends with {count} unfinished values, this is one")]
    Unfinished {
        /// The number of incomplete values.
        count: usize,
    },
    /// The checksum at the end is wrong.
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
    /// It decompresses to more than `Limits::blob` bytes.
    #[error("more than {limit} bytes come out of it")]
    OverLimit {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The frame is damaged. The text is that of the decompressor.
    #[error("damaged frame ({0})")]
    Damaged(String),
    /// Bytes follow the frame.
    #[error("{0} bytes follow the frame")]
    Trailing(usize),
    /// The feature `zstd` is off.
    #[error("zstd is not built in (feature `zstd`)")]
    NoZstd,
}

/// Why a value's payload cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The payload is too short.
    #[error("the payload ends at byte {at}, in the middle of an element")]
    Truncated {
        /// Length of the payload, in bytes.
        at: usize,
    },
    /// Bytes follow the value.
    #[error("bytes follow the value at byte {at} of the payload")]
    Trailing {
        /// Offset of the first of them in the payload.
        at: usize,
    },
    /// The bytes break a rule of the format.
    #[error("{kind} at byte {at} of the payload")]
    Malformed {
        /// Offset of the fault in the payload.
        at: usize,
        /// The rule that is broken.
        kind: FaultKind,
    },
    /// A listpack, ziplist, intset or zipmap breaks the rules of its format.
    #[error("{container}: {problem} at byte {at} of it")]
    Container {
        /// The name of the format.
        container: &'static str,
        /// Offset of the fault in the container.
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
    /// A container of pairs has an odd number of elements.
    #[error("a field or member without its value")]
    Unpaired,
    /// A node of a stream breaks the rules of its format.
    #[error("stream node: {0}")]
    StreamNode(&'static str),
    /// A consumer owns an entry that is not pending in its group.
    #[error("a consumer owns an entry that is not pending")]
    NotPending,
}

/// Why a DUMP payload was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DumpError {
    /// It is shorter than a type id, a version and a checksum.
    #[error("{0} bytes are too few for a payload")]
    TooShort(usize),
    /// The checksum is wrong.
    #[error("checksum {stated:#018x}, but the bytes make {computed:#018x}")]
    Checksum {
        /// The checksum in the payload.
        stated: u64,
        /// The checksum of the bytes before it.
        computed: u64,
    },
    /// The type id is unknown in payloads of this version.
    #[error("unknown type {type_id} in a payload of version {version}")]
    UnknownType {
        /// The first byte.
        type_id: u8,
        /// The version in the footer.
        version: u16,
    },
    /// The value is malformed, or does not end at the footer.
    #[error(transparent)]
    Value(#[from] ValueError),
}

/// A key as shown in errors: quoted, escaped, and cut after [`KeyExcerpt::LIMIT`] bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyExcerpt(String);

impl KeyExcerpt {
    /// The number of bytes of a key that are shown.
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
