//! Criterion benches of the workspace, one file a question; each states its expected order of magnitude.

pub mod streams;
