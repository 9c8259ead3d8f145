//! Upper bounds of lengths on the wire. A decoder checks a length against its limit before it allocates.

/// The largest sizes that a decoder accepts, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest string, key or element that is held in memory as a whole.
    pub string: usize,
    /// The largest decompressed blob (opcodes 201 and 202).
    pub blob: usize,
    /// The most that is allocated in advance because of a length alone.
    pub preallocation: usize,
    /// A value larger than this arrives in pieces of about this size.
    pub piece: usize,
    /// The number of values that may be incomplete at the same time (tagged chunks, protocol section 4.4).
    pub open_values: usize,
}

impl Default for Limits {
    /// Strings of 1 GiB, blobs of 256 MiB, 64 KiB allocated in advance, pieces of 64 KiB, 4096 incomplete values.
    fn default() -> Self {
        Self { string: 1 << 30, blob: 256 << 20, preallocation: 64 << 10, piece: 64 << 10, open_values: 4096 }
    }
}
