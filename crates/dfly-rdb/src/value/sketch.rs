//! Headers of Dragonfly's sketches (protocol sections 7.6.8 to 7.6.11).

/// Parameters of a scalable Bloom filter (protocol section 7.6.8).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BloomHeader {
    /// Growth factor of each further filter.
    pub growth: f64,
    /// The configured rate of false positives, 0 to 1.
    pub error_rate: f64,
    /// Items in the filters before the last.
    pub previous_size: u64,
    /// Items in the last filter.
    pub size: u64,
    /// Capacity of the last filter, in items.
    pub capacity: u64,
    /// Number of filters.
    pub filters: u64,
}

/// Parameters of a count-min sketch (protocol section 7.6.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountMinHeader {
    /// Counters per row.
    pub width: u64,
    /// Rows.
    pub depth: u64,
    /// The sum of all increments.
    pub total: u64,
}

/// Parameters of a Top-K sketch (protocol section 7.6.10).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopKHeader {
    /// Number of items that are kept.
    pub k: u64,
    /// Counters per row.
    pub width: u64,
    /// Rows.
    pub depth: u64,
    /// The decay of counters, 0 to 1.
    pub decay: f64,
    /// Number of following items.
    pub items: u64,
}

/// Parameters of a Cuckoo filter (protocol section 7.6.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CuckooHeader {
    /// Slots per bucket.
    pub bucket_size: u64,
    /// Moves before another filter is added.
    pub max_iterations: u64,
    /// Growth factor of each further filter.
    pub expansion: u64,
    /// Buckets of the first filter.
    pub buckets: u64,
    /// Items in the filter.
    pub items: u64,
    /// Deleted items.
    pub deletes: u64,
    /// Number of filters.
    pub filters: u64,
}
