//! Tries on the target whether it takes a value of each encoding that the source holds. Each is written under a reserved key
//! that expires within seconds, and is removed at once.

use std::collections::{BTreeMap, BTreeSet};

use dfly_rdb::payload::{Plan, TargetFormat, parse_dump_unchecked, write_dump};
use redis_resp::Reply;
use redis_resp::connection::ConnectionError;

use super::ask::Asker;
use super::sampling::Payloads;

/// The longest that a value stays if the connection breaks, in milliseconds.
const STAYS: &[u8] = b"10000";

/// What became of the values, by encoding.
#[derive(Debug, Default)]
pub(super) struct Tried {
    pub taken: BTreeSet<String>,
    /// Each with the answer.
    pub refused: BTreeMap<String, String>,
}

/// Writes each value as a run would write it. `key` is a reserved key.
pub(super) async fn try_payloads(
    asker: &mut Asker,
    payloads: &Payloads,
    format: &TargetFormat,
    key: &str,
) -> Result<Tried, ConnectionError> {
    let mut tried = Tried::default();
    for payload in payloads.values() {
        let Ok(value) = parse_dump_unchecked(payload.clone()) else { continue };
        let mut dump = Vec::new();
        let Ok(Plan::Verbatim | Plan::Reencode) = write_dump(&value, format, &mut dump) else { continue };
        let restore: Vec<&[u8]> = vec![b"RESTORE", key.as_bytes(), STAYS, &dump, b"REPLACE"];
        let replies = asker.ask_all(&[restore, vec![b"DEL", key.as_bytes()]]).await?;
        let encoding = format!("{:?}", value.type_id());
        match replies.into_iter().next() {
            Some(Reply::Error(error)) => drop(tried.refused.insert(encoding, error.line)),
            _ => drop(tried.taken.insert(encoding)),
        }
    }
    Ok(tried)
}
