//! How a scripted snapshot is written: the same data in the many forms that a decoder must read.

/// The form of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotStyle {
    /// How collections are written.
    pub containers: Containers,
    /// How strings are written.
    pub strings: Strings,
    /// Whether runs of items are compressed.
    pub blobs: Blobs,
    /// How many items share a run: SELECTDB is written anew at the start of each.
    pub run: usize,
    /// Split values with more elements than this into tagged chunks of so many (protocol section 4.4).
    pub tagged: Option<usize>,
    /// How many split values may be unfinished at a time.
    pub open: usize,
    /// Put FULLSYNC_END and JOURNAL_OFFSET inside compressed blobs. No effect without blobs.
    pub marks_in_blobs: bool,
    /// The AUX field `ctime`, in Unix seconds.
    pub ctime: u32,
}

impl Default for SnapshotStyle {
    /// Packed collections, integers where they fit, nothing compressed, nothing split.
    fn default() -> Self {
        Self {
            containers: Containers::Packed,
            strings: Strings::Integers,
            blobs: Blobs::None,
            run: 16,
            tagged: None,
            open: 3,
            marks_in_blobs: false,
            ctime: 1_795_333_178,
        }
    }
}

/// How collections are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Containers {
    /// Types 2, 4, 5, and lists of plain nodes.
    Plain,
    /// Intsets, listpacks, and lists of packed nodes with plain ones for long elements.
    Packed,
    /// The one or the other, by the key.
    Mixed,
}

/// How strings are written, wherever one stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strings {
    /// As they are.
    Raw,
    /// Integers of up to 32 bits as such, others as they are.
    Integers,
    /// As `Integers`, and compressed where that makes them shorter.
    Lzf,
    /// As `Integers`, and "compressed" into literal runs, which makes them longer.
    LzfLiteral,
}

/// Compression of runs of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blobs {
    /// None.
    None,
    /// LZ4 frames (opcode 202).
    Lz4,
    /// ZSTD frames (opcode 201).
    Zstd,
}
