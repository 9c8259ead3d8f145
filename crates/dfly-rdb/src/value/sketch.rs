//! Headers of the sketches that only a Dragonfly has (protocol sections 7.6.8 to 7.6.11).

/// Parameters of a scalable Bloom filter (protocol section 7.6.8).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BloomHeader {
    /// How much larger each further filter is.
    pub growth: f64,
    /// The rate of false positives that was asked for, 0 to 1.
    pub error_rate: f64,
    /// Items in the filters before the last.
    pub previous_size: u64,
    /// Items in the last filter.
    pub size: u64,
    /// Items that the last filter may have.
    pub capacity: u64,
    /// How many filters there are.
    pub filters: u64,
}

/// Parameters of a count-min sketch (protocol section 7.6.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountMinHeader {
    /// Counters a row.
    pub width: u64,
    /// Rows.
    pub depth: u64,
    /// The sum of all increments.
    pub total: u64,
}

/// Parameters of a Top-K sketch (protocol section 7.6.10).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopKHeader {
    /// How many items are kept.
    pub k: u64,
    /// Counters a row.
    pub width: u64,
    /// Rows.
    pub depth: u64,
    /// The decay of counters, 0 to 1.
    pub decay: f64,
    /// How many items follow.
    pub items: u64,
}

/// Parameters of a Cuckoo filter (protocol section 7.6.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CuckooHeader {
    /// Slots a bucket.
    pub bucket_size: u64,
    /// Moves before another filter is added.
    pub max_iterations: u64,
    /// How much larger each further filter is.
    pub expansion: u64,
    /// Buckets of the first filter.
    pub buckets: u64,
    /// Items in the filter.
    pub items: u64,
    /// Items that were deleted.
    pub deletes: u64,
    /// How many filters there are.
    pub filters: u64,
}
