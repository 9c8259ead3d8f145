//! Push decoder for Dragonfly snapshots and Redis RDB: streams, files and DUMP payloads.

mod blob;
mod chunk;
mod decoder;
mod error;
mod event;
mod input;
mod item;
mod opcode;
mod pack;
pub mod payload;
mod reader;
mod scan;
mod skip;
mod string;
mod text;
mod type_id;
mod value;

pub use decoder::{Config, Decoder};
pub use error::{BlobError, DumpError, Error, ErrorKind, KeyExcerpt, ValueError};
pub use event::{Checksum, Entry, Event, Family, KeyHeader, Magic, ModuleAux, ValueId};
pub use pack::intset::{Intset, IntsetIter};
pub use pack::listpack::{Listpack, ListpackIter};
pub use pack::ziplist::{Ziplist, ZiplistIter};
pub use pack::zipmap::{Zipmap, ZipmapIter};
pub use text::{IntBuffer, Text};
pub use type_id::{ModuleId, TypeId, ValueKind};
pub use value::sketch::{BloomHeader, CountMinHeader, CuckooHeader, TopKHeader};
pub use value::stream::{
    StreamConsumer, StreamEntry, StreamFields, StreamGroup, StreamId, StreamNode, StreamPending,
    StreamProducers, StreamTail,
};
pub use value::{
    BloomPart, CountMinPart, CuckooPart, Element, Elements, Encoding, ModulePart, Node, Nodes, Piece,
    RawValue, StreamNodes, TopKPart,
};
