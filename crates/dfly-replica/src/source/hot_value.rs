//! Reads a key that is written to all the time, so that no two looks at the flow's LSN have none of its records between them.
//!
//! `WATCH key`, `DFLY REPLICAOFFSET`, `MULTI`, `DUMP key`, `PEXPIRETIME key`, `EXEC`, in one go: EXEC answers nil if the key has
//! changed since WATCH. Otherwise the value is the one that the key had when the LSN was told, however long DUMP took. What has to
//! be free of writes is the moment between WATCH and EXEC, not the reading of a large value. Pure.

use bytes::Bytes;
use dfly_journal::Lsn;
use redis_resp::{CommandBatch, Reply};

use super::answers::lsns_of;

/// How often it is tried at once: each attempt that fails costs the source no reading.
pub(super) const TRIES: usize = 64;

/// What came of an attempt.
#[derive(Debug, PartialEq)]
pub(super) enum HotValue {
    /// Before the next record of each flow, the key had this value.
    Exact { lsns: Vec<Lsn>, dump: Reply, expiry: Reply },
    /// The key was written to meanwhile.
    Changed,
    /// The source, or its user's rights, do not allow it.
    Refused,
}

/// The requests of an attempt.
pub(super) fn requests(key: &Bytes) -> CommandBatch {
    let mut batch = CommandBatch::default();
    let requests: [&[&[u8]]; 6] = [
        &[b"WATCH", key],
        &[b"DFLY", b"REPLICAOFFSET"],
        &[b"MULTI"],
        &[b"DUMP", key],
        &[b"PEXPIRETIME", key],
        &[b"EXEC"],
    ];
    requests.iter().for_each(|words| batch.push(words));
    batch
}

/// What the answers mean.
pub(super) fn outcome(replies: Vec<Reply>) -> HotValue {
    let Ok([Reply::Simple(_), offsets, Reply::Simple(_), Reply::Simple(_), Reply::Simple(_), exec]) =
        <[Reply; 6]>::try_from(replies)
    else {
        return HotValue::Refused;
    };
    match (lsns_of(&offsets), exec) {
        (Some(_), Reply::Nil) => HotValue::Changed,
        (Some(lsns), Reply::Array(values)) => match <[Reply; 2]>::try_from(values) {
            Ok([dump, expiry]) => HotValue::Exact { lsns, dump, expiry },
            Err(_) => HotValue::Refused,
        },
        _ => HotValue::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simple(text: &str) -> Reply {
        Reply::Simple(text.into())
    }

    fn told(exec: Reply) -> Vec<Reply> {
        let offsets = Reply::Array(vec![Reply::Integer(7), Reply::Integer(9)]);
        let queued = || simple("QUEUED");
        vec![simple("OK"), offsets, simple("OK"), queued(), queued(), exec]
    }

    #[test]
    fn a_value_is_exact_if_nothing_came_between() {
        let (dump, expiry) = (Reply::Bulk("x".into()), Reply::Integer(-1));
        assert_eq!(
            outcome(told(Reply::Array(vec![dump.clone(), expiry.clone()]))),
            HotValue::Exact { lsns: vec![Lsn(7), Lsn(9)], dump, expiry }
        );
        assert_eq!(outcome(told(Reply::Nil)), HotValue::Changed);
        assert_eq!(outcome(told(Reply::Array(vec![Reply::Nil]))), HotValue::Refused);
        let mut refused = told(Reply::Nil);
        refused[0] = Reply::Integer(1);
        assert_eq!(outcome(refused), HotValue::Refused);
        assert_eq!(outcome(told(Reply::Nil)[..5].to_vec()), HotValue::Refused);
        assert_eq!(requests(&Bytes::from_static(b"k")).len(), 6);
    }
}
