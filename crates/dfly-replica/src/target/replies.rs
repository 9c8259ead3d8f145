//! What a target's replies mean to whoever has asked.

use bytes::Bytes;
use dfly_wire::UnixMillis;
use redis_resp::Reply;
use redis_sink::TargetError;

use super::retry_policy::passes;
use crate::error::Error;

/// A reply that is no refusal.
pub(crate) fn answered(name: &'static str, reply: Reply) -> Result<Reply, Error> {
    match reply {
        Reply::Error(error) if passes(&error) => Err(TargetError::Refused { request: name, error }.into()),
        Reply::Error(error) => Err(Error::TargetAnswer { request: name, answer: error.to_string() }),
        reply => Ok(reply),
    }
}

/// An answer of another form than servers give.
pub(crate) fn strange(request: &'static str, answer: &Reply) -> Error {
    Error::TargetAnswer { request, answer: format!("{answer:?}").chars().take(200).collect() }
}

/// What a set, or a sorted set, holds.
pub(crate) fn members_of(name: &'static str, reply: Reply) -> Result<Vec<Bytes>, Error> {
    let Reply::Array(members) = reply else { return Err(strange(name, &reply)) };
    let member = |member| if let Reply::Bulk(member) = member { Some(member) } else { None };
    Ok(members.into_iter().filter_map(member).collect())
}

/// What a server's clock shows: the answer to TIME is seconds and microseconds.
pub(crate) fn time_of(reply: &Reply) -> Option<UnixMillis> {
    let Reply::Array(parts) = reply else { return None };
    let part = |at: usize| match parts.get(at) {
        Some(Reply::Bulk(digits)) => std::str::from_utf8(digits).ok()?.parse::<i64>().ok(),
        Some(Reply::Integer(number)) => Some(*number),
        _ => None,
    };
    Some(UnixMillis(part(0)?.saturating_mul(1000).saturating_add(part(1)? / 1000)))
}
