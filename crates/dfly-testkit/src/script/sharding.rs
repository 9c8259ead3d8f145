//! The shard of a key, and the shards that log an operation (protocol sections 3.6 and 3.10).

use bytes::Bytes;
use xxhash_rust::xxh64::xxh64;

use super::model::Applied;
use super::op::Op;

/// The seed of Dragonfly's key hash (`sharding.cc`).
const SEED: u64 = 120_577_240_643;

/// The shard of `key` on a master with `shards` shards.
pub fn shard_of(key: &[u8], shards: usize) -> usize {
    let shards = shards.max(1) as u64;
    usize::try_from(xxh64(key, SEED) % shards).unwrap_or(0)
}

/// One command in one shard's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Logged {
    pub(crate) shard: usize,
    pub(crate) db: u32,
    pub(crate) args: Vec<Bytes>,
    /// The keys that it touches.
    pub(crate) keys: Vec<Bytes>,
}

/// The commands that `op` adds to the journals of `shards` shards, given its effect `applied`. `dump` returns a key's DUMP
/// payload and expiry after the operation.
pub(crate) fn place(
    op: &Op,
    applied: Applied,
    shards: usize,
    dump: impl Fn(&Bytes) -> (Vec<u8>, i64),
) -> Vec<Logged> {
    let logged = |shard, args: Vec<Bytes>, keys| Logged { shard, db: op.db, args, keys };
    match applied {
        Applied::Nothing => Vec::new(),
        Applied::Key(key) => vec![logged(shard_of(&key, shards), op.args.clone(), vec![key])],
        Applied::Everywhere => (0..shards).map(|shard| logged(shard, op.args.clone(), Vec::new())).collect(),
        Applied::Keys(groups) => by_shard(&groups, shards)
            .map(|(shard, groups)| {
                let name = Bytes::from(canonical(op));
                let args = [name].into_iter().chain(groups.iter().flatten().cloned()).collect();
                let keys = groups.iter().filter_map(|group| group.first().cloned()).collect();
                logged(shard, args, keys)
            })
            .collect(),
        Applied::Renamed { from, to } => {
            let (a, b) = (shard_of(&from, shards), shard_of(&to, shards));
            if a == b {
                return vec![logged(a, op.args.clone(), vec![from, to])];
            }
            let (payload, expiry) = dump(&to);
            let expiry = Bytes::from(expiry.max(0).to_string());
            let restore =
                ["RESTORE".into(), to.clone(), expiry, payload.into(), "REPLACE".into(), "ABSTTL".into()];
            let del = vec!["DEL".into(), from.clone()];
            vec![logged(a, del, vec![from]), logged(b, restore.to_vec(), vec![to])]
        }
    }
}

/// The name under which a command is logged: UNLINK is logged as DEL.
fn canonical(op: &Op) -> Vec<u8> {
    match op.name().as_slice() {
        b"UNLINK" => b"DEL".to_vec(),
        name => name.to_vec(),
    }
}

fn by_shard(groups: &[Vec<Bytes>], shards: usize) -> impl Iterator<Item = (usize, Vec<Vec<Bytes>>)> {
    let of = move |group: &Vec<Bytes>| group.first().map_or(0, |key| shard_of(key, shards));
    let parts = (0..shards).map(move |shard| {
        let own: Vec<Vec<Bytes>> = groups.iter().filter(|group| of(group) == shard).cloned().collect();
        (shard, own)
    });
    parts.filter(|(_, own)| !own.is_empty())
}
