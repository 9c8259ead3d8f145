//! Criterion benches of the workspace, one file a question; each states its expected order of magnitude. The programs beside
//! them measure the release binary, with what [`rig`] holds, and count instructions.

pub mod logs;
pub mod rig;
pub mod streams;
