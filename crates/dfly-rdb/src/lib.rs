//! Incremental decoder for Dragonfly snapshots and Redis RDB files, and reader and writer of DUMP payloads and RDB files.
//!
//! [`Decoder`] turns bytes into [`Event`]s. It reads Dragonfly's replication streams and `.dfs` files, and the RDB files of
//! Dragonfly, Redis (versions 1 to 13) and Valkey (up to 9). [`Reader`] reads the events of anything that implements `Read`.
//!
//! A value is available at three levels: the raw payload, which RESTORE may accept unchanged ([`RawValue::payload`]); the
//! containers in it ([`RawValue::encoding`]); the elements ([`RawValue::elements`]).
//!
//! The module [`payload`] reads DUMP payloads and writes them for a server of a given version, [`mod@write`] writes RDB
//! files, and [`digest`] computes a digest of the content of a value.
//!
//! The decoder opens no file or socket, reads no clock, and keeps expired keys. It does not decode journals: journal bytes
//! are returned as they are ([`Event::JournalBlob`]), for `dfly-journal`.
//!
//! Section numbers in the documentation refer to `docs/protocol.md` in the repository.
//!
//! ```
//! use bytes::BytesMut;
//! use dfly_rdb::payload::{Plan, TargetFormat, write_dump};
//! use dfly_rdb::{Config, Decoder, Element, Event, Family, Step};
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
//!             // RESTORE of Redis 7.0 accepts this payload.
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
//! # Guarantees
//!
//! * The events do not depend on how the input is split, and the work is linear in its length. After `Need(n)`, fewer than
//!   `n` more bytes yield no event.
//! * A value of up to [`Limits::piece`] bytes is one [`Event::Entry`]. Its key and payload are slices of the caller's
//!   buffer, and its elements are not parsed. A larger value is an [`Event::Open`], several [`Event::Piece`]s of whole
//!   elements, and an [`Event::Close`]; strings and JSON texts are split anywhere. A listpack, a list node, a string of a
//!   module and the groups of a stream cannot be split: they are held in memory, up to [`Limits::string`] bytes.
//! * Several values may be open at the same time where Dragonfly interleaves them. Their [`ValueId`]s differ.
//! * Every length is checked against a limit before memory is allocated for it, and no memory is allocated for a stated
//!   count. A blob may decompress to [`Limits::blob`] bytes. An [`Error`] names the offset, the item and the key.
//! * The checksum of Redis and Valkey files is verified ([`Config::verify_checksum`]).
//!
//! # Features
//!
//! `zstd` (default): decompresses zstd blobs of Dragonfly. It builds the C library. Without it, such a blob is an error.
//!
//! `tokio`: `AsyncReader`, which reads the events of an `AsyncRead`.

mod blob;
mod chunk;
mod decoder;
pub mod digest;
mod error;
mod event;
mod input;
mod item;
mod magic;
mod opcode;
mod pack;
pub mod payload;
mod read;
#[cfg(feature = "tokio")]
mod read_async;
mod reader;
mod scan;
mod skip;
mod stream_id;
mod string;
mod text;
mod type_id;
mod value;
pub mod write;

#[doc(no_inline)]
pub use bytes;
pub use decoder::{Config, Decoder};
#[doc(inline)]
pub use dfly_wire::{DbIndex, FaultKind, Limits, Step, UnixMillis};
pub use error::{BlobError, DumpError, Error, ErrorKind, KeyExcerpt, ValueError};
pub use event::{Checksum, Entry, Event, KeyHeader, ModuleAux, ValueId};
pub use magic::{Family, Magic};
pub use pack::intset::{Intset, IntsetIter};
pub use pack::listpack::{Listpack, ListpackIter};
pub use pack::ziplist::{Ziplist, ZiplistIter};
pub use pack::zipmap::{Zipmap, ZipmapIter};
pub use read::{ReadError, Reader};
#[cfg(feature = "tokio")]
pub use read_async::AsyncReader;
pub use stream_id::StreamId;
pub use text::{IntBuffer, Text};
pub use type_id::{ModuleId, TypeId, ValueKind};
pub use value::sketch::{BloomHeader, CountMinHeader, CuckooHeader, TopKHeader};
pub use value::stream::{
    StreamConsumer, StreamEntry, StreamFields, StreamGroup, StreamNode, StreamPending, StreamProducers,
    StreamTail,
};
pub use value::{
    BloomPart, CountMinPart, CuckooPart, Element, Elements, Encoding, ModulePart, Node, Nodes, Piece,
    RawValue, StreamNodes, TopKPart,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
