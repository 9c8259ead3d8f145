//! How one value is read whole, by its type and its size.

use std::ops::Range;

use bytes::Bytes;
use dfly_rdb::{UnixMillis, ValueKind};
use dfly_replica::Question;
use redis_resp::Reply;

use crate::by_commands;
use crate::held::{Content, Held, Value};
use crate::requests::{question, refused_by};
use crate::type_name::TypeName;

/// How much of a value is read at once, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// The longest string that is read whole.
    pub text: usize,
    /// The most memory that a value of another type may take on its server to be read whole.
    pub value: u64,
    /// The most memory of all values that are read together.
    pub together: u64,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self { text: 16 << 10, value: 256 << 10, together: 2 << 20 }
    }
}

/// The largest value that is read whole where pieces do not do, in bytes of memory on its server: a document has none, and those
/// of a key that is written to all the time do not fit together.
pub(crate) const LARGEST_WHOLE: u64 = 32 << 20;

/// A key that is being read.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub expires_at: Option<UnixMillis>,
    pub kind: Option<String>,
    /// Why the type is not told, in words.
    pub refusal: Option<String>,
    pub size: Option<u64>,
}

/// How one value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Dump,
    Commands(ValueKind),
    Document,
    /// It is not read: its form is known to its own server alone.
    Foreign,
    Forbidden,
    Large,
    TooLarge,
    Gone,
    Unknown,
}

impl Way {
    /// How a value is read.
    pub(crate) fn of(reading: &Reading, limits: ReadLimits, forbids_dump: bool) -> Self {
        let Some(name) = reading.kind.as_deref() else { return Self::Unknown };
        if name == "none" {
            return Self::Gone;
        }
        let kind = TypeName::of(name).known();
        match (kind, reading.size) {
            (Some(ValueKind::Json), Some(size)) if size > LARGEST_WHOLE => Self::TooLarge,
            (Some(ValueKind::Json), _) => Self::Document,
            (Some(kind), _) if !kind.is_core() => Self::Foreign,
            (None, _) => Self::Foreign,
            (Some(_), Some(size)) if size > limits.value => Self::Large,
            (Some(ValueKind::String), _) if forbids_dump => Self::Forbidden,
            (Some(kind), _) if forbids_dump => Self::Commands(kind),
            _ => Self::Dump,
        }
    }

    pub(crate) fn questions(self, key: &Bytes) -> Vec<Question> {
        match self {
            Self::Dump => vec![question(&[b"DUMP"], key, &[])],
            Self::Commands(kind) => by_commands::requests(kind, key),
            Self::Document => vec![question(&[b"JSON.GET"], key, &[])],
            _ => Vec::new(),
        }
    }

    pub(crate) fn held(self, reading: &Reading, replies: &[Reply]) -> Held {
        let kind = TypeName::of(reading.kind.as_deref().unwrap_or_default());
        let value =
            |content| Held::Value(Value { kind, expires_at: reading.expires_at, length: None, content });
        match (self, replies) {
            (Self::Gone, _) | (Self::Dump | Self::Document, [Reply::Nil]) => Held::Absent,
            (Self::Dump, [Reply::Bulk(payload)]) => value(Content::Dump(payload.clone())),
            (Self::Document, [Reply::Bulk(text)]) => value(Content::Json(text.clone())),
            (Self::Commands(kind), replies) => match by_commands::elements(kind, replies) {
                Some(elements) if elements.is_empty() && kind != ValueKind::Stream => Held::Absent,
                Some(elements) => value(Content::Elements(elements)),
                None => Held::Unreadable(refused_by(replies, "its elements")),
            },
            (Self::Large, _) => value(Content::Large),
            (Self::Foreign, _) => value(Content::Foreign),
            (Self::TooLarge, _) => {
                let most = LARGEST_WHOLE >> 20;
                Held::Unreadable(format!("the document takes more than {most} MiB, and has no pieces"))
            }
            (Self::Forbidden, _) => Held::Unreadable("GETRANGE and DUMP are refused".to_owned()),
            (Self::Unknown, _) => {
                let untold = || "it does not tell its type".to_owned();
                Held::Unreadable(reading.refusal.clone().unwrap_or_else(untold))
            }
            (Self::Dump | Self::Document, replies) => Held::Unreadable(refused_by(replies, "its value")),
        }
    }
}

impl Reading {
    pub(crate) fn again(&self) -> Self {
        Self {
            expires_at: self.expires_at,
            kind: self.kind.clone(),
            refusal: self.refusal.clone(),
            size: self.size,
        }
    }
}

/// The ranges of keys whose values are read together.
pub(crate) fn parts(others: &[(usize, Reading)], limits: ReadLimits) -> Vec<Range<usize>> {
    let (mut parts, mut start, mut bytes) = (Vec::new(), 0, 0u64);
    for (at, (_, reading)) in others.iter().enumerate() {
        let size = reading.size.unwrap_or(limits.value);
        if bytes > 0 && bytes.saturating_add(size) > limits.together {
            parts.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes = bytes.saturating_add(size);
    }
    parts.push(start..others.len());
    parts
}
