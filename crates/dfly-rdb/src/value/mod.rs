//! Values: the raw payload (level 1), its encoding (level 2), its elements (level 3).

use bytes::Bytes;

use crate::error::ValueError;
use crate::scan::{Scanner, Unit};
use crate::type_id::{Class, ModuleId, TypeId, ValueKind};

mod element;
pub(crate) mod elements;
mod encoding;
pub(crate) mod sketch;
pub(crate) mod stream;

pub use element::{BloomPart, CountMinPart, CuckooPart, Element, ModulePart, TopKPart};
pub use elements::Elements;
pub use encoding::{Encoding, Node, Nodes, StreamNodes};

/// A whole value as it stands in a stream: the bytes behind the key, or behind the type of a DUMP payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawValue {
    type_id: TypeId,
    payload: Bytes,
}

impl RawValue {
    /// A value of `payload` bytes in the encoding `type_id`. The bytes are looked at only when elements are asked for.
    pub fn new(type_id: TypeId, payload: Bytes) -> Self {
        Self { type_id, payload }
    }

    /// How the value is encoded.
    pub fn type_id(&self) -> TypeId {
        self.type_id
    }

    /// Level 1: the bytes, without type and key.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Level 2: the containers that hold the elements.
    ///
    /// # Errors
    /// If the payload is cut, a compressed container cannot be decompressed, or a container's header is wrong.
    pub fn encoding(&self) -> Result<Encoding<'_>, ValueError> {
        Encoding::of(self.type_id, &self.payload)
    }

    /// Level 3: the elements in the order of the payload. Nothing is left out for being expired.
    pub fn elements(&self) -> Elements<'_> {
        Elements::whole(self.type_id, &self.payload)
    }

    /// What kind of value it is.
    pub fn kind(&self) -> ValueKind {
        kind(self.type_id.class(), || match Scanner::in_memory(self.type_id).next(&self.payload) {
            Ok((_, Unit::ModuleId(id))) => Some(id),
            _ => None,
        })
    }
}

fn kind(class: Class, module: impl FnOnce() -> Option<ModuleId>) -> ValueKind {
    match class {
        Class::String => ValueKind::String,
        Class::List => ValueKind::List,
        Class::Set => ValueKind::Set,
        Class::Hash => ValueKind::Hash,
        Class::SortedSet => ValueKind::SortedSet,
        Class::Stream => ValueKind::Stream,
        Class::Json => ValueKind::Json,
        Class::Bloom => ValueKind::Bloom,
        Class::CountMinSketch => ValueKind::CountMinSketch,
        Class::TopK => ValueKind::TopK,
        Class::Cuckoo => ValueKind::Cuckoo,
        Class::Module => ValueKind::Module(module()),
    }
}

impl TypeId {
    /// What kind of value the encoding holds. A module's name stands in the value only.
    pub fn kind(self) -> ValueKind {
        kind(self.class(), || None)
    }
}

/// A part of a value that arrives in pieces: whole units of its payload, with the place of the first.
///
/// The borders depend on the value alone, not on how it arrived. The bytes of all pieces, one behind the other, are the
/// payload of the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    start: Scanner,
    bytes: Bytes,
}

impl Piece {
    pub(crate) fn new(start: Scanner, bytes: Bytes) -> Self {
        Self { start, bytes }
    }

    /// How the value is encoded.
    pub fn type_id(&self) -> TypeId {
        self.start.type_id()
    }

    /// The place of the first unit.
    pub(crate) fn start(&self) -> Scanner {
        self.start
    }

    /// The bytes of the payload.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The elements in this piece. A string or JSON text is one element a piece, a part of the whole.
    pub fn elements(&self) -> Elements<'_> {
        Elements::part(self.start, &self.bytes)
    }
}
