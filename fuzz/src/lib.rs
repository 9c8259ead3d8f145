//! What must hold for any bytes: one checking function a fuzz target. Each panics if it does not hold.
//!
//! What it is: properties of `dfly-rdb`, `dfly-journal`, `redis-resp`, `redis-slots`, `relay-log`, `replica-api` and of configuration
//! files, stated over plain bytes, so that a seed is a file of the format itself. The targets in `fuzz_targets` call nothing else, and the tests
//! hold the functions against the whole corpus.
//!
//! What it is not: it knows no expected output. Those are the tests of the crates.

#![forbid(unsafe_code)]

mod api;
mod configuration;
mod container;
mod content;
#[cfg(test)]
mod corpus;
mod payload;
mod relay;
mod stream;
mod topology;
mod value;
mod wire;

pub use api::api_request;
pub use configuration::{config_go_tool, config_toml};
pub use container::{intset, listpack, lzf, ziplist, zipmap};
pub use payload::payload;
pub use relay::relay_segment;
pub use stream::{lz4_blob, rdb_garbage, rdb_split, zstd_blob};
pub use topology::topology;
pub use value::{sketch, stream_value};
pub use wire::{journal_split, resp_split};

/// A target with its checking function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, by the name of its corpus.
pub const TARGETS: [Target; 19] = [
    ("rdb_split", rdb_split),
    ("rdb_garbage", rdb_garbage),
    ("listpack", listpack),
    ("ziplist", ziplist),
    ("zipmap", zipmap),
    ("intset", intset),
    ("lzf", lzf),
    ("lz4_blob", lz4_blob),
    ("zstd_blob", zstd_blob),
    ("stream_value", stream_value),
    ("sketch", sketch),
    ("payload", payload),
    ("journal_split", journal_split),
    ("resp_split", resp_split),
    ("relay_segment", relay_segment),
    ("topology", topology),
    ("config_toml", config_toml),
    ("config_go_tool", config_go_tool),
    ("api_request", api_request),
];

/// Part sizes that depend on the data alone, so that a finding is one file: 1, 7, and sizes that look random.
struct Sizes {
    state: u64,
    fixed: Option<usize>,
}

impl Sizes {
    fn all(data: &[u8]) -> [Self; 3] {
        let state = dfly_wire::crc64::checksum(data) | 1;
        [Some(1), Some(7), None].map(|fixed| Self { state, fixed })
    }

    fn next(&mut self) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.fixed.unwrap_or(1 + usize::try_from(self.state >> 58).unwrap_or_default())
    }
}
