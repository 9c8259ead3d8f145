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

/// A whole value in its stored form: the bytes after the key in a stream, or after the type id in a DUMP payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawValue {
    type_id: TypeId,
    payload: Bytes,
}

impl RawValue {
    /// A value of `payload` bytes in the encoding `type_id`. The bytes are not validated until elements are read.
    pub fn new(type_id: TypeId, payload: Bytes) -> Self {
        Self { type_id, payload }
    }

    /// The encoding.
    pub fn type_id(&self) -> TypeId {
        self.type_id
    }

    /// Level 1: the bytes, without type id and key.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Level 2: the containers that hold the elements.
    ///
    /// # Errors
    /// If the payload is truncated, a compressed container cannot be decompressed, or the header of a container is wrong.
    pub fn encoding(&self) -> Result<Encoding<'_>, ValueError> {
        Encoding::of(self.type_id, &self.payload)
    }

    /// Level 3: the elements in the order of the payload, including expired ones.
    pub fn elements(&self) -> Elements<'_> {
        Elements::whole(self.type_id, &self.payload)
    }

    /// The kind of the value.
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
    /// The kind of the value. The id of a module is stored in the value only, so it is `None` here.
    pub fn kind(self) -> ValueKind {
        kind(self.class(), || None)
    }
}

/// A piece of a value: whole units of its payload.
///
/// The bounds of pieces depend on the value alone, not on how it arrived. The bytes of all pieces together are the payload
/// of the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    start: Scanner,
    bytes: Bytes,
}

impl Piece {
    pub(crate) fn new(start: Scanner, bytes: Bytes) -> Self {
        Self { start, bytes }
    }

    /// The encoding.
    pub fn type_id(&self) -> TypeId {
        self.start.type_id()
    }

    /// The state of the scan at the first unit.
    pub(crate) fn start(&self) -> Scanner {
        self.start
    }

    /// The bytes of the payload.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The elements in this piece. A piece of a string or JSON text is one element.
    pub fn elements(&self) -> Elements<'_> {
        Elements::part(self.start, &self.bytes)
    }
}
