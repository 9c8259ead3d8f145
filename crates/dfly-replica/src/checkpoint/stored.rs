//! What a target says of the run before, and what is said to it when a session begins.

use std::borrow::Cow;
use std::collections::BTreeMap;

use dfly_client::FlowId;
use dfly_journal::Lsn;
use redis_resp::{Reply, ServerError};
use redis_sink::TargetError;

use super::fields::{field, gone, parse_gone};
use super::position::{Position, WriterIdentity};
use super::sync_metadata::{self, SyncMetadata};
use crate::error::Error;
use crate::slot_set::SlotSet;
use crate::target::questions::TargetConnection;
use crate::target::retry_policy::passes;

/// Names the source that was seen as a replica.
const DEMOTED: &str = "demoted";

/// What stands for the source of an unfinished synchronisation where it is not named.
pub(crate) const UNNAMED: &str = "1";

/// Puts the new source (ARGV[2]) and the new positions in place of the old ones, if all are as expected: ARGV[1] is the
/// source, then a field, its old value and its new one for each flow. What is new by now stays so: the answer to a request
/// may be lost. Says whether the hash holds what is new.
const REPLACE: &str = "local function is(field,value) return redis.call('HGET',KEYS[1],field)==value end \
     local old,new=is('source',ARGV[1]),is('source',ARGV[2]) \
     for i=3,#ARGV,3 do old=old and is(ARGV[i],ARGV[i+1]) new=new and is(ARGV[i],ARGV[i+2]) end \
     if new then return 1 end if not old then return 0 end \
     redis.call('HSET',KEYS[1],'source',ARGV[2]) redis.call('HDEL',KEYS[1],'demoted') \
     for i=3,#ARGV,3 do redis.call('HSET',KEYS[1],ARGV[i],ARGV[i+2]) end return 1";

/// Positions of all flows with one master process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The master's replication id.
    pub source_id: String,
    /// Where each flow stands.
    pub flows: BTreeMap<FlowId, Position>,
    /// The master was seen as a replica since: if it is a master again under the same id, it holds other data.
    pub is_demoted: bool,
}

/// What a target says of the run before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// Nothing.
    Nothing,
    /// A full synchronisation that did not reach its journal on every flow, and the source that it was of, if that was noted.
    Unfinished(Option<String>),
    /// Every flow's position.
    Whole(Checkpoint),
    /// The target refused a command after its position had moved; the data is not the source's.
    Refused(String),
}

impl Checkpoint {
    /// Asks the target.
    ///
    /// # Errors
    /// The connection's, or the target's refusal.
    pub async fn load(target: &mut TargetConnection) -> Result<Stored, Error> {
        let key = key(target);
        match ask(target, &["HGETALL", &key]).await? {
            Reply::Array(pairs) => Ok(stored(&fields(&pairs))),
            Reply::Error(error) => Err(refused(&key, error)),
            other => Err(unusable(&key, format!("{other:?}"))),
        }
    }

    /// Where a flow of this source stands; `None` if the target holds no position of it.
    ///
    /// # Errors
    /// As [`Self::load`]; [`Error::Overtaken`] if another session has claimed the target.
    pub async fn position(
        target: &mut TargetConnection,
        identity: &WriterIdentity,
        flow: FlowId,
    ) -> Result<Option<Position>, Error> {
        let (key, field) = (key(target), field(flow));
        match ask(target, &["HMGET", &key, "owner", "source", &field]).await? {
            Reply::Array(found) => match found.as_slice() {
                [Reply::Bulk(owner), ..] if owner != identity.owner.as_bytes() => Err(Error::Overtaken),
                [_, Reply::Bulk(source), Reply::Bulk(next)] if source == identity.source_id.as_bytes() => {
                    Ok(std::str::from_utf8(next).ok().and_then(Position::parse))
                }
                _ => Ok(None),
            },
            Reply::Error(error) => Err(refused(&key, error)),
            other => Err(unusable(&key, format!("{other:?}"))),
        }
    }

    /// From here on no transaction of another session is carried out. Comes before the positions are asked for.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn claim(target: &mut TargetConnection, owner: &str) -> Result<(), Error> {
        let key = key(target);
        match ask(target, &["HSET", &key, "owner", owner]).await? {
            Reply::Error(error) => Err(refused(&key, error)),
            _ => Ok(()),
        }
    }

    /// The same places in the journals of another master, in a new transaction of each flow: what an older process sent
    /// finds neither its source nor its number, even if the source is the old one again some day.
    #[must_use]
    pub fn moved_to(&self, source_id: &str) -> Self {
        let flows = self.flows.iter().map(|(flow, at)| (*flow, at.then(at.next))).collect();
        Self { source_id: source_id.to_owned(), flows, is_demoted: false }
    }

    /// Puts `new` in the place of `old`, all at once; `false`, and nothing done, if the target holds neither. Both have the
    /// same flows.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn replace(target: &mut TargetConnection, old: &Self, new: &Self) -> Result<bool, Error> {
        let key = key(target);
        let mut request = vec!["EVAL".to_owned(), REPLACE.into(), "1".into(), key.clone()];
        request.extend([old.source_id.clone(), new.source_id.clone()]);
        for ((flow, was), is) in old.flows.iter().zip(new.flows.values()) {
            request.extend([field(*flow), was.to_string(), is.to_string()]);
        }
        match target.ask(&request).await? {
            Reply::Integer(1) => Ok(true),
            Reply::Integer(_) => Ok(false),
            Reply::Error(error) => Err(refused(&key, error)),
            other => Err(unusable(&key, format!("{other:?}"))),
        }
    }

    /// A full synchronisation from this source begins, and nothing may resume from before it.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) async fn begin(
        target: &mut TargetConnection,
        identity: &WriterIdentity,
        metadata: &SyncMetadata,
    ) -> Result<(), Error> {
        let key = key(target);
        let mut fields = vec!["HSET", &key, "owner", &identity.owner, "syncing", &identity.source_id];
        let of_metadata = metadata.fields();
        fields.extend(of_metadata.iter().flatten().map(AsRef::as_ref));
        for request in [&["DEL", &key][..], &fields] {
            if let Reply::Error(error) = ask(target, request).await? {
                return Err(refused(&key, error));
            }
        }
        Ok(())
    }

    /// Whether the session `owner` may write.
    ///
    /// # Errors
    /// As [`Self::load`]; [`Error::Overtaken`] if another session has claimed the target.
    pub(crate) async fn is_owned(target: &mut TargetConnection, owner: &str) -> Result<bool, Error> {
        let key = key(target);
        match ask(target, &["HGET", &key, "owner"]).await? {
            Reply::Bulk(found) if found == owner => Ok(true),
            Reply::Bulk(_) => Err(Error::Overtaken),
            Reply::Nil => Ok(false),
            Reply::Error(error) => Err(refused(&key, error)),
            other => Err(unusable(&key, format!("{other:?}"))),
        }
    }

    /// The keys that the source does not have are removed.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn extra_keys_removed(target: &mut TargetConnection) -> Result<(), Error> {
        let key = key(target);
        match ask(target, &["HDEL", &key, sync_metadata::SWEEP, sync_metadata::WRITTEN]).await? {
            Reply::Error(error) => Err(refused(&key, error)),
            _ => Ok(()),
        }
    }

    /// The slots that the source has given away and whose keys may still be here, by flow and record.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) async fn gone_slots(
        target: &mut TargetConnection,
    ) -> Result<Vec<((FlowId, Lsn), SlotSet)>, Error> {
        let key = key(target);
        match ask(target, &["HGETALL", &key]).await? {
            Reply::Array(pairs) => {
                let record =
                    |(field, slots): (&String, &String)| Some((parse_gone(field)?, SlotSet::parse(slots)));
                Ok(fields(&pairs).iter().filter_map(record).collect())
            }
            Reply::Error(error) => Err(refused(&key, error)),
            other => Err(unusable(&key, format!("{other:?}"))),
        }
    }

    /// The keys of slots that these records tell of are gone.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) async fn gone_slots_removed(
        target: &mut TargetConnection,
        records: &[(FlowId, Lsn)],
    ) -> Result<(), Error> {
        let key = key(target);
        let fields: Vec<String> = records.iter().map(|(flow, lsn)| gone(*flow, *lsn)).collect();
        if fields.is_empty() {
            return Ok(());
        }
        let request: Vec<&str> =
            ["HDEL", &key].into_iter().chain(fields.iter().map(String::as_str)).collect();
        match ask(target, &request).await? {
            Reply::Error(error) => Err(refused(&key, error)),
            _ => Ok(()),
        }
    }

    /// Notes that the master `source_id` was seen as a replica.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) async fn note_demotion(target: &mut TargetConnection, source_id: &str) -> Result<(), Error> {
        let key = key(target);
        match ask(target, &["HSET", &key, DEMOTED, source_id]).await? {
            Reply::Error(error) => Err(refused(&key, error)),
            _ => Ok(()),
        }
    }

    /// Notes that the target refused a command whose position has moved.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn refuse(target: &mut TargetConnection, reason: &str) -> Result<(), Error> {
        let key = key(target);
        match ask(target, &["HSET", &key, "refused", reason]).await? {
            Reply::Error(error) => Err(refused(&key, error)),
            _ => Ok(()),
        }
    }

    /// Fields of the hash and their values, for a target that was just flushed.
    pub(crate) fn request(&self, owner: &str, metadata: &SyncMetadata) -> Vec<Vec<u8>> {
        let mut words: Vec<String> = ["owner", owner].map(str::to_owned).into();
        words.extend(metadata.fields().into_iter().flatten().map(Cow::into_owned));
        let count = self.flows.len().to_string();
        words.extend(["source", &self.source_id, "flows", &count].map(str::to_owned));
        for (flow, at) in &self.flows {
            words.extend([field(*flow), at.to_string()]);
        }
        words.into_iter().map(String::into_bytes).collect()
    }
}

async fn ask(target: &mut TargetConnection, request: &[&str]) -> Result<Reply, Error> {
    target.ask(request).await
}

fn key(target: &TargetConnection) -> String {
    target.names().checkpoint().to_owned()
}

/// A target that is loading, say, is asked again.
fn refused(key: &str, error: ServerError) -> Error {
    match passes(&error) {
        true => Error::Target(TargetError::Refused { request: "the checkpoint", error }),
        false => unusable(key, error.to_string()),
    }
}

fn unusable(key: &str, reason: String) -> Error {
    Error::Checkpoint { key: key.to_owned(), reason }
}

fn fields(pairs: &[Reply]) -> BTreeMap<String, String> {
    let text = |reply: &Reply| match reply {
        Reply::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    };
    let pairs: &[[Reply; 2]] = pairs.as_chunks().0;
    pairs.iter().map(|[name, value]| (text(name), text(value))).collect()
}

fn stored(fields: &BTreeMap<String, String>) -> Stored {
    if let Some(reason) = fields.get("refused") {
        return Stored::Refused(reason.clone());
    }
    match whole(fields) {
        Some(checkpoint) => Stored::Whole(checkpoint),
        None if fields.contains_key("syncing") || fields.contains_key("source") => {
            let of = fields.get("syncing").or_else(|| fields.get("source"));
            Stored::Unfinished(of.filter(|id| *id != UNNAMED).cloned())
        }
        None => Stored::Nothing,
    }
}

fn whole(fields: &BTreeMap<String, String>) -> Option<Checkpoint> {
    let source_id = fields.get("source")?.clone();
    let count: u16 = fields.get("flows")?.parse().ok()?;
    let position = |flow: u16| {
        let at = Position::parse(fields.get(&field(FlowId(flow)))?)?;
        Some((FlowId(flow), at))
    };
    let flows: BTreeMap<FlowId, Position> = (0..count).map(position).collect::<Option<_>>()?;
    let is_demoted = fields.get(DEMOTED).is_some_and(|id| *id == source_id);
    (count > 0).then_some(Checkpoint { source_id, flows, is_demoted })
}

#[cfg(test)]
mod tests {
    use dfly_journal::Lsn;
    use dfly_translate::ReservedNames;
    use redis_resp::CommandBatch;

    use super::super::fields::{SourceFields, write_entry, write_position};
    use super::*;

    fn after(batch: &CommandBatch) -> Stored {
        let mut held = BTreeMap::new();
        for command in batch.iter() {
            let words: Vec<String> =
                command.arguments().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            assert_eq!(words[..2], ["HSET", "df2redis:checkpoint"]);
            held.extend(words[2..].chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())));
        }
        stored(&held)
    }

    fn at(next: u64, transaction: u64) -> Position {
        Position::at(transaction, Lsn(next))
    }

    #[test]
    fn whole_only_with_every_flow() {
        let (names, mut batch) = (ReservedNames::default(), CommandBatch::default());
        let source = SourceFields { id: "abc", flows: 2 };
        assert_eq!(after(&batch), Stored::Nothing);
        write_entry(&names, source, FlowId(0), at(7, 0), &mut batch);
        assert_eq!(
            after(&batch),
            Stored::Unfinished(Some("abc".to_owned())),
            "flow 1 has not reached its journal"
        );
        write_entry(&names, source, FlowId(1), at(1, 0), &mut batch);
        write_position(&names, FlowId(1), at(9, 1), &mut batch);
        let flows = BTreeMap::from([(FlowId(0), at(7, 0)), (FlowId(1), at(9, 1))]);
        let checkpoint = Checkpoint { source_id: "abc".into(), flows, is_demoted: false };
        assert_eq!(after(&batch), Stored::Whole(checkpoint.clone()));
        let request = checkpoint.request("me", &SyncMetadata::default());
        let mut held: BTreeMap<String, String> = request
            .chunks(2)
            .map(|pair| {
                (String::from_utf8(pair[0].clone()).unwrap(), String::from_utf8(pair[1].clone()).unwrap())
            })
            .collect();
        assert_eq!(stored(&held), Stored::Whole(checkpoint));
        held.insert(DEMOTED.to_owned(), "another".to_owned());
        assert!(matches!(stored(&held), Stored::Whole(Checkpoint { is_demoted: false, .. })));
        held.insert(DEMOTED.to_owned(), "abc".to_owned());
        assert!(matches!(stored(&held), Stored::Whole(Checkpoint { is_demoted: true, .. })));
        held.insert("refused".to_owned(), "LSET \"k\": no such key".to_owned());
        assert!(matches!(stored(&held), Stored::Refused(_)));
    }
}
