//! Runs of plain SETs become MSETs. A translator marks none for a cluster, or for a target that refuses MSET.

use dfly_translate::CommandFacts;
use redis_resp::CommandBatch;

/// The most SETs that become one MSET. Of 32 and more, each costs a target three quarters of what it costs alone.
const MERGED: usize = 64;

const MSET: &[u8] = b"MSET";

fn is_plain(tag: u64) -> bool {
    CommandFacts::from_tag(tag).is_plain_set
}

/// Joins those of a batch.
pub(crate) fn merge(batch: &mut CommandBatch) {
    batch.merge(MSET, MERGED, is_plain);
}

/// Joins those of `batch`, and moves all of it to the end of `framed`.
pub(crate) fn append_merged(framed: &mut CommandBatch, batch: &mut CommandBatch) {
    framed.append_merged(batch, MSET, MERGED, is_plain);
}
