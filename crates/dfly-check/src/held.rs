//! What one side holds under a key, as it was read.

use std::collections::BTreeMap;

use bytes::Bytes;
use dfly_rdb::{StreamId, UnixMillis, ValueKind};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::stream_state::StreamState;
use crate::type_name::TypeName;
use crate::verdict::Outline;

/// What one side holds under a key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Held {
    /// Nothing.
    Absent,
    /// A value.
    Value(Value),
    /// It could not be read; the reason in words.
    Unreadable(String),
}

/// A value, as far as it was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    /// The type, as TYPE names it.
    pub kind: TypeName,
    /// When the key expires.
    pub expires_at: Option<UnixMillis>,
    /// How many elements or bytes it has, if that was asked for.
    pub length: Option<u64>,
    /// What was read of it.
    pub content: Content,
}

/// What was read of a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    /// Nothing.
    Unread,
    /// The bytes of a string.
    Text(Bytes),
    /// The payload that DUMP gives.
    Dump(Bytes),
    /// What the commands of its type give.
    Elements(Elements),
    /// The text of a document.
    Json(Bytes),
    /// It is too large to be read at once.
    Large,
    /// Nothing, because its form is known to its own server alone.
    Foreign,
}

/// The elements of a value. Names and values are represented by their 128-bit XXH3.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Elements {
    /// The items of a list, in order.
    List(Vec<u128>),
    /// The members of a set or the fields of a hash.
    Named(BTreeMap<u128, Named>),
    /// The members of a sorted set, and their scores.
    Scored(BTreeMap<u128, f64>),
    /// A stream: its entries, and all the rest.
    Stream(BTreeMap<StreamId, u128>, Box<StreamState>),
    /// Anything else, as a whole.
    Whole(u128),
}

/// A member of a set or a field of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Named {
    /// The digest of the field's value; 0 in a set.
    pub value: u128,
    /// When it expires.
    pub expires_at: Option<UnixMillis>,
}

impl Elements {
    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        let len = match self {
            Self::List(items) => items.len(),
            Self::Named(named) => named.len(),
            Self::Scored(scored) => scored.len(),
            Self::Stream(entries, _) => entries.len(),
            Self::Whole(_) => 1,
        };
        len as u64
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What stands for a name or a value.
pub(crate) fn digest(bytes: &[u8]) -> u128 {
    xxh3_128(bytes)
}

impl Value {
    /// The value without its content.
    pub(crate) fn outline(&self) -> Outline {
        Outline {
            kind: Some(self.kind.to_string()),
            length: self.length.or(match &self.content {
                Content::Text(text) => Some(text.len() as u64),
                Content::Elements(elements) => Some(elements.len()),
                _ => None,
            }),
            expires_at: self.expires_at.map(|at| at.0),
        }
    }

    /// Whether it is a set or a hash, whose elements may expire.
    pub(crate) fn has_named(&self) -> bool {
        self.kind.is(ValueKind::Set) || self.kind.is(ValueKind::Hash)
    }
}

impl Held {
    /// The outline; of what could not be read there is none.
    pub(crate) fn outline(&self) -> Outline {
        match self {
            Self::Value(value) => value.outline(),
            Self::Absent | Self::Unreadable(_) => Outline::absent(),
        }
    }

    /// Whether it has expired at this time of its server.
    pub(crate) fn is_expired(&self, now: UnixMillis) -> bool {
        matches!(self, Self::Value(Value { expires_at: Some(at), .. }) if *at <= now)
    }

    /// Eight bytes that change when the value does, as far as it was read.
    pub(crate) fn print(&self) -> u64 {
        let Self::Value(value) = self else { return 0 };
        let content = match &value.content {
            Content::Unread | Content::Large | Content::Foreign => 0,
            Content::Text(bytes) | Content::Dump(bytes) | Content::Json(bytes) => xxh3_64(bytes),
            Content::Elements(elements) => xxh3_64(format!("{elements:?}").as_bytes()),
        };
        let expires_at = value.expires_at.map_or(-1, |at| at.0);
        xxh3_64(format!("{} {expires_at} {:?} {content}", value.kind, value.length).as_bytes())
    }
}
