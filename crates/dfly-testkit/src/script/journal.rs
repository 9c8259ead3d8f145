//! Writes journal records as Dragonfly does (protocol section 3.3).

use dfly_wire::packed::write_uint;

use super::sharding::Logged;

const SELECT: u8 = 6;
const COMMAND: u8 = 10;
const LSN: u8 = 15;

/// One record of a shard's journal. The backlog stores it, and blobs and streams carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) shard: usize,
    /// The LSN of this record.
    pub(crate) lsn: u64,
    pub(crate) bytes: Vec<u8>,
}

/// SELECT and COMMAND. `txid` is 0 for commands of a single shard.
pub(crate) fn record_of(logged: &Logged, txid: u64) -> Vec<u8> {
    let mut out = vec![SELECT];
    write_uint(u64::from(logged.db), &mut out);
    out.push(COMMAND);
    write_uint(txid, &mut out);
    write_uint(1, &mut out);
    write_uint(logged.args.len() as u64, &mut out);
    write_uint(logged.args.iter().map(|arg| arg.len() as u64).sum(), &mut out);
    for arg in &logged.args {
        write_uint(arg.len() as u64, &mut out);
        out.extend_from_slice(arg);
    }
    out
}

/// Decides when LSN records are due in one stream: after its first record, and then after every `every` records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lsns {
    every: usize,
    since: usize,
}

impl Lsns {
    pub(crate) fn new(every: usize) -> Self {
        let every = every.max(1);
        Self { every, since: every - 1 }
    }

    /// The LSN record that follows the record `lsn`, if one is due.
    pub(crate) fn after(&mut self, lsn: u64) -> Option<Vec<u8>> {
        self.since += 1;
        (self.since >= self.every).then(|| {
            self.since = 0;
            let mut out = vec![LSN];
            write_uint(lsn, &mut out);
            out
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(db: u32, line: &str) -> Logged {
        let args = line.split(' ').map(|word| word.to_owned().into()).collect();
        Logged { shard: 0, db, args, keys: Vec::new() }
    }

    /// The journal at the end of protocol Annex A.
    #[test]
    fn annex_a() {
        let mut lsns = Lsns::new(8);
        let mut out = Vec::new();
        for (lsn, db, line) in [(3, 0, "SET after y"), (4, 1, "INCR ctr"), (5, 1, "MSET a 1 b 2")] {
            out.extend(record_of(&logged(db, line), 0));
            out.extend(lsns.after(lsn).unwrap_or_default());
        }
        assert_eq!(
            out,
            b"\x06\x00\x0a\x00\x01\x03\x09\x03SET\x05after\x01y\x0f\x03\
              \x06\x01\x0a\x00\x01\x02\x07\x04INCR\x03ctr\x06\x01\x0a\x00\x01\x05\x08\x04MSET\x01a\x011\x01b\x012"
        );
    }

    /// The example of protocol section 3.3.
    #[test]
    fn a_transaction() {
        assert_eq!(
            record_of(&logged(0, "SET foo bar"), 5),
            b"\x06\x00\x0a\x05\x01\x03\x09\x03SET\x03foo\x03bar"
        );
        assert_eq!(Lsns::new(1).after(65), Some(vec![0x0f, 0x40, 0x41]));
    }
}
