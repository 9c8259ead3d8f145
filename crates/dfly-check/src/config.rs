//! What a comparison needs to know, as plain data.

use std::sync::Arc;
use std::time::Duration;

use dfly_replica::EngineConfig;

use crate::mode::Mode;
use crate::sample::Sample;
use crate::way::ReadLimits;

/// Settings of one comparison.
#[derive(Debug, Clone)]
pub struct CheckConfig {
    /// The replication whose two sides are compared: addresses, filters, renames, policies.
    pub engine: Arc<EngineConfig>,
    /// How much of each key is compared.
    pub mode: Mode,
    /// Expiries this close to each other are equal.
    pub expiry_tolerance: Duration,
    /// With [`Mode::Smart`]: collections with more elements and strings with more bytes are compared by their lengths and
    /// samples, if they are too large to be read at once.
    pub big_key_threshold: u64,
    /// How much of a value is read at once.
    pub limits: ReadLimits,
    /// How many bytes a piece of a larger value has, roughly.
    pub piece: usize,
    /// How many times what differs is compared.
    pub rounds: u32,
    /// The pause before it is compared again.
    pub pause: Duration,
    /// How many connections there are to each side.
    pub connections: u16,
    /// Which keys are compared.
    pub sample: Option<Sample>,
    /// The most requests in a second, over both sides.
    pub requests_per_second: Option<u64>,
    /// The most bytes of replies in a second, over both sides.
    pub bytes_per_second: Option<u64>,
}

impl CheckConfig {
    /// The defaults for the two sides of this replication.
    pub fn new(engine: EngineConfig) -> Self {
        // A target that evicts keys is compared all the same: what it has lost is found.
        let engine = EngineConfig { allows_evictions: true, ..engine };
        Self {
            engine: Arc::new(engine),
            mode: Mode::default(),
            expiry_tolerance: Duration::from_secs(1),
            big_key_threshold: 16_384,
            limits: ReadLimits::default(),
            piece: 512 << 10,
            rounds: 3,
            pause: Duration::from_secs(5),
            connections: 4,
            sample: None,
            requests_per_second: None,
            bytes_per_second: None,
        }
    }
}
