//! How a scripted snapshot is written. The same data has many forms that a decoder must read.

/// The form of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotStyle {
    /// How collections are written.
    pub containers: Containers,
    /// How strings are written.
    pub strings: Strings,
    /// Whether runs of items are compressed.
    pub blobs: Blobs,
    /// The maximum number of items in a run. SELECTDB is written again at the start of each run.
    pub run: usize,
    /// Split values with more elements than this into tagged chunks of this many elements (protocol section 4.4).
    pub tagged: Option<usize>,
    /// How many split values may be unfinished at the same time.
    pub open: usize,
    /// Put FULLSYNC_END and JOURNAL_OFFSET inside compressed blobs. This has no effect without blobs.
    pub marks_in_blobs: bool,
    /// The AUX field `ctime`, in Unix seconds.
    pub ctime: u32,
}

impl Default for SnapshotStyle {
    /// Packed collections, strings as integers where possible, no compression, no tagged chunks.
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
    /// Either of the two, depending on the key.
    Mixed,
}

/// How strings are written, wherever they occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strings {
    /// Unchanged.
    Raw,
    /// As integers if they are integers of up to 32 bits, otherwise unchanged.
    Integers,
    /// Like `Integers`, but other strings are compressed if that makes them shorter.
    Lzf,
    /// Like `Integers`, but other strings are "compressed" into literal runs, which makes them longer.
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
