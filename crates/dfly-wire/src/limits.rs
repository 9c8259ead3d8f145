//! No length on the wire is trusted: each is held against one of these before anything is allocated for it.

/// What a decoder accepts at most. All sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest single string, key or element that is held whole.
    pub string: usize,
    /// The largest decompressed blob (opcodes 201 and 202).
    pub blob: usize,
    /// The most that is reserved ahead on the word of a length alone.
    pub preallocation: usize,
    /// The size from which a value arrives in pieces of about this size.
    pub piece: usize,
    /// How many values may be unfinished at a time (tagged chunks, protocol section 4.4).
    pub open_values: usize,
}

impl Default for Limits {
    /// 1 GiB a string, 256 MiB a blob, 64 KiB ahead, 64 KiB a piece, 4096 unfinished values.
    fn default() -> Self {
        Self { string: 1 << 30, blob: 256 << 20, preallocation: 64 << 10, piece: 64 << 10, open_values: 4096 }
    }
}
