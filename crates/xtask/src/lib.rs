//! The workspace's own rules, as tests: who may import whom, how long a file may be, which names are drawers.
//! They run with `cargo test`; there is nothing to call.
