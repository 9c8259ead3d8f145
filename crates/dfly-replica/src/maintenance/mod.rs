//! What goes on beside the flows, or without them: scans of the whole target, and what runs have left behind.

pub(crate) mod cleanup;
pub(crate) mod eviction_watch;
pub(crate) mod extra_keys;
pub(crate) mod gone_slots;
pub(crate) mod protected_keys;
pub(crate) mod scan;
pub(crate) mod ttl_scan;
