//! Reads a key that is written to all the time, so that no two looks at the flow's LSN have none of its records between them.
//!
//! `WATCH key`, `DFLY REPLICAOFFSET`, `MULTI`, the requests, `EXEC`, in one go: EXEC answers nil if the key has changed since
//! WATCH. Otherwise the answers are those that hold before the LSN that was told, however long they took. What has to be free of
//! writes is the moment between WATCH and EXEC, not the reading of a large value.

use bytes::Bytes;
use dfly_journal::Lsn;
use redis_resp::{Reply, ServerError};

/// How often it is worth while to try in a row: an attempt that fails costs the source no reading.
pub const EXACT_READ_TRIES: usize = 64;

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum ExactRead {
    /// Before the next record of each flow, the requests had these answers.
    Read {
        /// The next LSN of every flow.
        lsns: Vec<Lsn>,
        /// An answer for each request. One may be a refusal.
        replies: Vec<Reply>,
    },
    /// The key was written to meanwhile.
    Changed,
    /// The source, or its user's rights, do not allow it. The connection may be in a transaction, and is not to be used again.
    Refused(Option<ServerError>),
}

/// The requests of an attempt: those of `requests`, which only read, and what makes their answers exact.
pub fn exact_read(key: &Bytes, requests: Vec<Vec<Bytes>>) -> Vec<Vec<Bytes>> {
    let words =
        |words: &[&'static str]| words.iter().map(|word| Bytes::from_static(word.as_bytes())).collect();
    let before = [
        vec![Bytes::from_static(b"WATCH"), key.clone()],
        words(&["DFLY", "REPLICAOFFSET"]),
        words(&["MULTI"]),
    ];
    before.into_iter().chain(requests).chain([words(&["EXEC"])]).collect()
}

/// What the answers to [`exact_read`] mean.
pub fn exact_read_outcome(mut replies: Vec<Reply>) -> ExactRead {
    if let Some(Reply::Error(error)) = replies.iter().find(|reply| matches!(reply, Reply::Error(_))) {
        return ExactRead::Refused(Some(error.clone()));
    }
    let exec = replies.pop();
    let queued = replies.len().checked_sub(3);
    match (replies.get(1).and_then(lsns_of), exec, queued) {
        (Some(_), Some(Reply::Nil), Some(_)) => ExactRead::Changed,
        (Some(lsns), Some(Reply::Array(replies)), Some(queued)) if replies.len() == queued => {
            ExactRead::Read { lsns, replies }
        }
        _ => ExactRead::Refused(None),
    }
}

/// The next LSN of every flow, as `DFLY REPLICAOFFSET` tells them. `None`: it is another answer.
pub fn lsns_of(reply: &Reply) -> Option<Vec<Lsn>> {
    let lsn = |offset: &Reply| match offset {
        Reply::Integer(lsn) if *lsn >= 0 => Some(Lsn(lsn.unsigned_abs())),
        _ => None,
    };
    let Reply::Array(offsets) = reply else { return None };
    offsets.iter().map(lsn).collect()
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
    fn answers_are_exact_if_nothing_came_between() {
        let replies = vec![Reply::Bulk("x".into()), Reply::Integer(-1)];
        assert_eq!(
            exact_read_outcome(told(Reply::Array(replies.clone()))),
            ExactRead::Read { lsns: vec![Lsn(7), Lsn(9)], replies }
        );
        assert_eq!(exact_read_outcome(told(Reply::Nil)), ExactRead::Changed);
    }

    #[test]
    fn whatever_else_is_a_refusal() {
        assert_eq!(exact_read_outcome(told(Reply::Array(vec![Reply::Nil]))), ExactRead::Refused(None));
        let mut other = told(Reply::Nil);
        other[1] = Reply::Integer(1);
        assert_eq!(exact_read_outcome(other), ExactRead::Refused(None));
        for length in 0..5 {
            assert_eq!(exact_read_outcome(told(Reply::Nil)[..length].to_vec()), ExactRead::Refused(None));
        }
        let refusal = ServerError::parse(b"NOPERM no rights");
        let mut refused = told(Reply::Nil);
        refused[0] = Reply::Error(refusal.clone());
        assert_eq!(exact_read_outcome(refused), ExactRead::Refused(Some(refusal)));
    }

    #[test]
    fn the_requests_stand_between() {
        let key = Bytes::from_static(b"k");
        let dump = vec![Bytes::from_static(b"DUMP"), key.clone()];
        let lines: Vec<Vec<u8>> =
            exact_read(&key, vec![dump]).iter().map(|words| words.join(&b' ')).collect();
        let expected = ["WATCH k", "DFLY REPLICAOFFSET", "MULTI", "DUMP k", "EXEC"];
        assert_eq!(lines, expected.map(|line| line.as_bytes().to_vec()));
    }
}
