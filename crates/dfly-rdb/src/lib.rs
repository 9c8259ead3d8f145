//! Push decoder for Dragonfly snapshots and Redis RDB: streams, files and DUMP payloads.
//!
//! What it is: bytes in, events out. [`Decoder`] reads Dragonfly's replication streams and `.dfs` files, and the RDB files
//! of Dragonfly, Redis (versions 1 to 13) and Valkey (up to 9). Values come at three levels: the raw payload, which RESTORE
//! may take as it is ([`RawValue::payload`]); the containers in it ([`RawValue::encoding`]); the elements
//! ([`RawValue::elements`]). The module [`payload`] makes and reads DUMP payloads for a server of a given version, [`mod@write`]
//! makes RDB files for one, and [`digest`] sums up what a value holds.
//!
//! [`Reader`] pulls events out of anything that implements `Read`.
//!
//! What it is not: it opens no file or socket, looks at no clock, drops nothing for being expired, and knows no journal:
//! journal bytes leave as they are ([`Event::JournalBlob`]).
//!
//! ```
//! use bytes::BytesMut;
//! use dfly_rdb::payload::{Plan, TargetFormat, write_dump};
//! use dfly_rdb::{Config, Decoder, Element, Event, Family};
//! use dfly_wire::Step;
//!
//! // A set of one member, "hi", under the key "k" in database 0, as Dragonfly sends it.
//! let mut src = BytesMut::from(&b"REDIS0009\xfe\x00\x02\x01k\x01\x02hi\xff\0\0\0\0\0\0\0\0"[..]);
//! let mut decoder = Decoder::new(Config::default());
//! let mut keys = 0;
//! while !decoder.is_finished() {
//!     match decoder.decode(&mut src)? {
//!         Step::Ready(Event::Entry(entry)) => {
//!             keys += 1;
//!             assert_eq!(&entry.header.key[..], b"k");
//!             for element in entry.value.elements() {
//!                 let Element::Member { member, .. } = element? else { unreachable!() };
//!                 assert_eq!(member.into_bytes(), "hi");
//!             }
//!             // Or send the value whole: RESTORE of Redis 7.0 takes these bytes.
//!             let redis7 = TargetFormat { family: Family::Redis, version: (7, 0) };
//!             let mut dump = Vec::new();
//!             assert_eq!(write_dump(&entry.value, &redis7, &mut dump)?, Plan::Verbatim);
//!             assert!(dump.starts_with(b"\x02\x01\x02hi"));
//!         }
//!         Step::Ready(_) => {}
//!         Step::Need(n) => panic!("read at least {n} bytes more, append them to src, and call again"),
//!     }
//! }
//! assert_eq!(keys, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What to count on
//!
//! * The events are the same however the bytes were cut, and the work is linear in the bytes. `Need(n)` is a promise that
//!   fewer than `n` further bytes bring no event.
//! * A value of up to [`Limits::piece`](dfly_wire::Limits::piece) bytes is one [`Event::Entry`]; it and its key are slices
//!   of the caller's buffer, and no element was looked at. A longer one is [`Event::Open`], [`Event::Piece`]s of whole
//!   elements, [`Event::Close`]; strings and JSON texts are cut inside. What cannot be cut (a listpack, a list node, a
//!   module's string, the groups of a stream) is held whole, up to [`Limits::string`](dfly_wire::Limits::string).
//! * Several values may be open at a time where Dragonfly interleaves them; their [`ValueId`] tells them apart.
//! * Every length is held against a limit before anything is allocated for it, counts are not believed, and blobs end at
//!   [`Limits::blob`](dfly_wire::Limits::blob). An [`Error`] names offset, item and key.
//! * The checksum of Redis and Valkey files is compared ([`Config::verify_checksum`]).
//!
//! # Features
//!
//! `zstd` (default): blobs that Dragonfly compressed with zstd. It builds the C library; without it such a blob is an error.
//!
//! `tokio`: `AsyncReader`, which pulls events out of an `AsyncRead`.

mod blob;
mod chunk;
mod decoder;
pub mod digest;
mod error;
mod event;
mod input;
mod item;
mod opcode;
mod pack;
pub mod payload;
mod read;
#[cfg(feature = "tokio")]
mod read_async;
mod reader;
mod scan;
mod skip;
mod string;
mod text;
mod type_id;
mod value;
pub mod write;

pub use decoder::{Config, Decoder};
pub use error::{BlobError, DumpError, Error, ErrorKind, KeyExcerpt, ValueError};
pub use event::{Checksum, Entry, Event, Family, KeyHeader, Magic, ModuleAux, ValueId};
pub use pack::intset::{Intset, IntsetIter};
pub use pack::listpack::{Listpack, ListpackIter};
pub use pack::ziplist::{Ziplist, ZiplistIter};
pub use pack::zipmap::{Zipmap, ZipmapIter};
pub use read::{ReadError, Reader};
#[cfg(feature = "tokio")]
pub use read_async::AsyncReader;
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
