//! A cluster as the target: what differs from a single server (docs/cluster.md has the argument).
//!
//! A batch becomes units, one for each slot ([`slot_batches`]). A slot holds the position of its last transaction, so that a
//! flow that resumes passes over what the slot has ([`slot_positions`]). The flow's own position is stored by itself
//! ([`checkpointer`]), once the required replicas have acknowledged every write before it ([`durability`]); a primary that
//! lost acknowledged writes is found by its markers ([`loss_marker`]). A flush is a command for every primary ([`flush`]).
//! Behind a clean shutdown nothing is there that the positions do not tell of ([`clean_shutdown`]).

pub(crate) mod checkpointer;
pub(crate) mod clean_shutdown;
pub(crate) mod durability;
pub(crate) mod flush;
pub(crate) mod inspection;
pub(crate) mod loss_marker;
mod node_notices;
pub(crate) mod options;
pub(crate) mod slot_batches;
pub(crate) mod slot_positions;
pub(crate) mod writer;
