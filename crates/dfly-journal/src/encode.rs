//! Writes journal records as a master does, for tools and tests.

use bytes::BufMut;
use dfly_wire::{DbIndex, packed};

use crate::record::{Lsn, TxId};

/// `SELECT db`.
pub fn select(db: DbIndex, out: &mut impl BufMut) {
    packed::write_uint(6, out);
    packed::write_uint(u64::from(db.0), out);
}

/// `COMMAND` with its transaction id, a shard count of 1, and its arguments, the name first.
pub fn command(txid: TxId, args: &[&[u8]], out: &mut impl BufMut) {
    packed::write_uint(10, out);
    packed::write_uint(txid.0, out);
    packed::write_uint(1, out);
    packed::write_uint(args.len() as u64, out);
    packed::write_uint(args.iter().map(|arg| arg.len() as u64).sum(), out);
    for arg in args {
        packed::write_uint(arg.len() as u64, out);
        out.put_slice(arg);
    }
}

/// `PING`.
pub fn ping(out: &mut impl BufMut) {
    packed::write_uint(13, out);
}

/// `LSN`: the LSN of the previous record.
pub fn marker(last: Lsn, out: &mut impl BufMut) {
    packed::write_uint(15, out);
    packed::write_uint(last.0, out);
}
