//! One flow, from bytes of the source to commands for the target: [`core`] decides, [`driver`] moves bytes, and every other
//! part owns its own state.

mod acknowledgements;
pub(crate) mod admission;
mod arrivals;
pub(crate) mod core;
pub(crate) mod driver;
mod flush;
pub(crate) mod intake;
pub(crate) mod oversized;
pub(crate) mod positions;
pub(crate) mod recent_keys;
pub(crate) mod refetch;
pub(crate) mod relay_disk;
pub(crate) mod scan_events;
pub(crate) mod watched_keys;
pub(crate) mod writer;
pub(crate) mod written_notes;
