//! `ClusterPipeline` and `ClusterConnection` against real clusters: slots that move under load, connections that are killed, a
//! primary that dies.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed expectation must stop the test")]

mod broken;
mod load;
mod questions;
mod resharding;
