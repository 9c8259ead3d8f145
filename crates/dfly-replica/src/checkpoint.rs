//! The positions that the target itself keeps: written in the same transaction as the data, so that they are true
//! whatever is killed at whatever moment (P18).
//!
//! One hash under a reserved key in database 0: `source` the master's replication id, `flows` how many it has,
//! `flow:<i>` the next record wanted of each and the number of its last transaction, `syncing` while a full synchronisation is not complete, `sweep` while keys
//! that the source does not have are to be removed, `keep` if they never are, `sharding` how it spreads its keys, `owner` the session that writes, `refused` what the target refused for good, if anything.
//!
//! Every transaction is guarded: it is carried out only if the position is the one that it follows, and if nobody else has
//! claimed the target since. So what was sent and not answered can be sent again, and what a session sent before it ended,
//! by its process being killed perhaps, does nothing behind the next one's back.

use std::collections::BTreeMap;
use std::fmt;

use dfly_client::FlowId;
use dfly_journal::Lsn;
use dfly_translate::{CommandFacts, CommandKind};
use dfly_wire::DbIndex;
use redis_resp::{CommandBatch, Reply, ServerError};
use redis_sink::TargetError;

use crate::cluster::witness;
use crate::error::Error;
use crate::lasting::{self, Lasting};
use crate::owner::Sharding;
use crate::target::TargetConnection;

/// The reserved key. Everything that begins with `df2redis:` is this tool's own.
pub const KEY: &str = "df2redis:checkpoint";

/// What the name begins with of the key that a flow's transactions watch. It never holds anything.
const GUARD: &str = "df2redis:guard:";

/// Touches the watched key (KEYS[2]) unless a flow's field (ARGV[1]), the source and the owner are as expected: then EXEC
/// does nothing.
const CHECK: &str = "local v=redis.call('HMGET',KEYS[1],ARGV[1],'source','owner') \
     if v[1]~=ARGV[2] or v[2]~=ARGV[3] or v[3]~=ARGV[4] then redis.call('SET',KEYS[2],'') redis.call('DEL',KEYS[2]) end";

/// Puts the new source (ARGV[2]) and the new positions in place of the old ones, if all are as expected: ARGV[1] is the
/// source, then a field, its old value and its new one for each flow. What is new by now stays so: the answer to a request
/// may be lost. Says whether the hash holds what is new.
const REPLACE: &str = "local function is(field,value) return redis.call('HGET',KEYS[1],field)==value end \
     local old,new=is('source',ARGV[1]),is('source',ARGV[2]) \
     for i=3,#ARGV,3 do old=old and is(ARGV[i],ARGV[i+1]) new=new and is(ARGV[i],ARGV[i+2]) end \
     if new then return 1 end if not old then return 0 end \
     redis.call('HSET',KEYS[1],'source',ARGV[2]) \
     for i=3,#ARGV,3 do redis.call('HSET',KEYS[1],ARGV[i],ARGV[i+2]) end return 1";

/// The tag of a command that sets fields of [`KEY`].
pub(crate) const SETS_FIELDS: u64 = CommandFacts::side_key(DbIndex(0)).idempotent().tag();

/// The tag of a command that begins or ends a transaction.
pub(crate) const CONTROL: u64 = CommandFacts::new(CommandKind::Control, DbIndex(0)).tag();

/// How many commands [`open_guarded`] writes.
pub(crate) const GUARD_COMMANDS: usize = 3;

/// Where a flow stands on the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// The number of the last transaction. Each has one more than the one before, so transactions that move no record
    /// can be told apart too.
    pub transaction: u64,
    /// The next record wanted.
    pub next: Lsn,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.next, self.transaction)
    }
}

impl Position {
    /// The position behind a transaction that moves the flow to `next`.
    #[must_use]
    pub fn then(self, next: Lsn) -> Self {
        Self { transaction: self.transaction + 1, next }
    }

    fn parse(text: &str) -> Option<Self> {
        let (next, transaction) = text.split_once(' ')?;
        Some(Self { transaction: transaction.parse().ok()?, next: Lsn(next.parse().ok()?) })
    }
}

/// Between whom positions hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parties {
    /// The master's replication id.
    pub source_id: String,
    /// The session that writes to the target.
    pub owner: String,
}

/// Positions of all flows with one master process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The master's replication id.
    pub source_id: String,
    /// Where each flow stands.
    pub flows: BTreeMap<FlowId, Position>,
}

/// What becomes of keys of the target that the source does not have, in a full synchronisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// There are none: the target is empty.
    None,
    /// They stay, in later synchronisations too.
    Keep,
    /// They are removed when the snapshot is complete (P17).
    Remove,
}

/// What a target says of the run before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// Nothing.
    Nothing,
    /// A full synchronisation that did not reach its journal on every flow.
    Unfinished,
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
        match ask(target, &["HGETALL", KEY]).await? {
            Reply::Array(pairs) => Ok(stored(&fields(&pairs))),
            Reply::Error(error) => Err(refused(error)),
            other => Err(unusable(format!("{other:?}"))),
        }
    }

    /// Where a flow of this source stands; `None` if the target holds no position of it.
    ///
    /// # Errors
    /// As [`Self::load`]; [`Error::Overtaken`] if another session has claimed the target.
    pub async fn position(
        target: &mut TargetConnection,
        parties: &Parties,
        flow: FlowId,
    ) -> Result<Option<Position>, Error> {
        let field = field(flow);
        match ask(target, &["HMGET", KEY, "owner", "source", &field]).await? {
            Reply::Array(found) => match found.as_slice() {
                [Reply::Bulk(owner), ..] if owner != parties.owner.as_bytes() => Err(Error::Overtaken),
                [_, Reply::Bulk(source), Reply::Bulk(next)] if source == parties.source_id.as_bytes() => {
                    Ok(std::str::from_utf8(next).ok().and_then(Position::parse))
                }
                _ => Ok(None),
            },
            Reply::Error(error) => Err(refused(error)),
            other => Err(unusable(format!("{other:?}"))),
        }
    }

    /// From here on no transaction of another session is carried out. Comes before the positions are asked for.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn claim(target: &mut TargetConnection, owner: &str) -> Result<(), Error> {
        match ask(target, &["HSET", KEY, "owner", owner]).await? {
            Reply::Error(error) => Err(refused(error)),
            _ => Ok(()),
        }
    }

    /// The same places in the journals of another master, in a new transaction of each flow: what an older process sent
    /// finds neither its source nor its number, even if the source is the old one again some day.
    #[must_use]
    pub fn moved_to(&self, source_id: &str) -> Self {
        let flows = self.flows.iter().map(|(flow, at)| (*flow, at.then(at.next))).collect();
        Self { source_id: source_id.to_owned(), flows }
    }

    /// Puts `new` in the place of `old`, all at once; `false`, and nothing done, if the target holds neither. Both have the
    /// same flows.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn replace(target: &mut TargetConnection, old: &Self, new: &Self) -> Result<bool, Error> {
        let mut request = vec!["EVAL".to_owned(), REPLACE.into(), "1".into(), KEY.into()];
        request.extend([old.source_id.clone(), new.source_id.clone()]);
        for ((flow, was), is) in old.flows.iter().zip(new.flows.values()) {
            request.extend([field(*flow), was.to_string(), is.to_string()]);
        }
        match target.ask(&request).await? {
            Reply::Integer(1) => Ok(true),
            Reply::Integer(_) => Ok(false),
            Reply::Error(error) => Err(refused(error)),
            other => Err(unusable(format!("{other:?}"))),
        }
    }

    /// A full synchronisation begins, and nothing may resume from before it.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) async fn begin(
        target: &mut TargetConnection,
        owner: &str,
        lasting: &Lasting,
    ) -> Result<(), Error> {
        let mut fields = vec!["HSET", KEY, "owner", owner, "syncing", "1"];
        fields.extend(lasting.fields().into_iter().flatten());
        for request in [&["DEL", KEY][..], &fields] {
            if let Reply::Error(error) = ask(target, request).await? {
                return Err(refused(error));
            }
        }
        Ok(())
    }

    /// They are removed.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn swept(target: &mut TargetConnection) -> Result<(), Error> {
        match ask(target, &["HDEL", KEY, lasting::SWEEP]).await? {
            Reply::Error(error) => Err(refused(error)),
            _ => Ok(()),
        }
    }

    /// Notes that the target refused a command whose position has moved.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn refuse(target: &mut TargetConnection, reason: &str) -> Result<(), Error> {
        match ask(target, &["HSET", KEY, "refused", reason]).await? {
            Reply::Error(error) => Err(refused(error)),
            _ => Ok(()),
        }
    }

    /// All of it in one command, for a target that was just flushed.
    pub(crate) fn write(&self, beside: (&str, &Lasting), out: &mut CommandBatch) {
        let words = self.request(beside);
        out.push_keyed(&words.iter().map(Vec::as_slice).collect::<Vec<_>>(), 1..2, SETS_FIELDS);
    }

    /// The command of [`Self::write`].
    pub(crate) fn request(&self, (owner, lasting): (&str, &Lasting)) -> Vec<Vec<u8>> {
        let mut words: Vec<String> = ["HSET", KEY, "owner", owner].map(str::to_owned).into();
        words.extend(lasting.fields().into_iter().flatten().map(str::to_owned));
        let count = self.flows.len().to_string();
        words.extend(["source", &self.source_id, "flows", &count].map(str::to_owned));
        for (flow, at) in &self.flows {
            words.extend([field(*flow), at.to_string()]);
        }
        words.into_iter().map(String::into_bytes).collect()
    }
}

/// A flow's first position, with what belongs to all flows.
pub(crate) fn write_entry(source: (&str, u16), (flow, at): (FlowId, Position), out: &mut CommandBatch) {
    let mut command = out.start(8);
    command.arg(b"HSET").key(KEY.as_bytes());
    command.arg(b"source").arg(source.0.as_bytes()).arg(b"flows").int(i64::from(source.1));
    command.arg(field(flow).as_bytes()).arg(at.to_string().as_bytes()).finish_with(SETS_FIELDS);
}

/// A flow's position in a cluster, with who knows of it.
pub(crate) fn write_witnessed(
    source: (&str, u16),
    (flow, at): (FlowId, Position),
    witnesses: &str,
    out: &mut CommandBatch,
) {
    let mut command = out.start(10);
    command.arg(b"HSET").key(KEY.as_bytes());
    command.arg(b"source").arg(source.0.as_bytes()).arg(b"flows").int(i64::from(source.1));
    command.arg(witness::field(flow).as_bytes()).arg(witnesses.as_bytes());
    command.arg(field(flow).as_bytes()).arg(at.to_string().as_bytes()).finish_with(SETS_FIELDS);
}

/// How the source spreads its keys.
pub(crate) fn write_sharding(sharding: Sharding, out: &mut CommandBatch) {
    let words = [b"HSET", KEY.as_bytes(), lasting::SHARDING.as_bytes(), sharding.name().as_bytes()];
    out.push_keyed(&words, 1..2, SETS_FIELDS);
}

/// The head of a transaction that is carried out only if the flow stands at `expected`. The connection is in database 0.
pub(crate) fn open_guarded(parties: &Parties, (flow, expected): (FlowId, Position), out: &mut CommandBatch) {
    let guard = format!("{GUARD}{flow}");
    out.push_keyed(&[b"WATCH", guard.as_bytes()], 1..2, CONTROL);
    let mut check = out.start(9);
    check.arg(b"EVAL").arg(CHECK.as_bytes()).int(2).key(KEY.as_bytes()).key(guard.as_bytes());
    check.arg(field(flow).as_bytes()).arg(expected.to_string().as_bytes());
    check.arg(parties.source_id.as_bytes()).arg(parties.owner.as_bytes()).finish_with(CONTROL);
    out.push_keyed(&[b"MULTI"], 0..0, CONTROL);
}

/// A flow's position.
pub(crate) fn write_position(flow: FlowId, at: Position, out: &mut CommandBatch) {
    let (field, at) = (field(flow), at.to_string());
    out.push_keyed(&[b"HSET", KEY.as_bytes(), field.as_bytes(), at.as_bytes()], 1..2, SETS_FIELDS);
}

async fn ask(target: &mut TargetConnection, request: &[&str]) -> Result<Reply, Error> {
    target.ask(request).await
}

/// A target that is loading, say, is asked again.
fn refused(error: ServerError) -> Error {
    match crate::target::passes(&error) {
        true => Error::Target(TargetError::Refused { request: KEY, error }),
        false => unusable(error.to_string()),
    }
}

fn unusable(reason: String) -> Error {
    Error::Checkpoint { key: KEY, reason }
}

fn field(flow: FlowId) -> String {
    format!("flow:{flow}")
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
        None if fields.contains_key("syncing") || fields.contains_key("source") => Stored::Unfinished,
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
    (count > 0).then_some(Checkpoint { source_id, flows })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(batch: &CommandBatch) -> Stored {
        let mut held = BTreeMap::new();
        for i in 0..batch.len() {
            let words: Vec<String> = batch
                .command(i)
                .unwrap()
                .arguments()
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect();
            assert_eq!(words[..2], ["HSET", KEY]);
            held.extend(words[2..].chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())));
        }
        stored(&held)
    }

    #[test]
    fn names_are_those_of_the_task_without_a_name() {
        let names = dfly_translate::ReservedNames::default();
        assert_eq!((names.checkpoint(), names.guard(3)), (KEY, format!("{GUARD}3")));
    }

    fn at(next: u64, transaction: u64) -> Position {
        Position { transaction, next: Lsn(next) }
    }

    #[test]
    fn whole_only_with_every_flow() {
        let mut batch = CommandBatch::default();
        assert_eq!(after(&batch), Stored::Nothing);
        write_entry(("abc", 2), (FlowId(0), at(7, 0)), &mut batch);
        assert_eq!(after(&batch), Stored::Unfinished, "flow 1 has not reached its journal");
        write_entry(("abc", 2), (FlowId(1), at(1, 0)), &mut batch);
        write_position(FlowId(1), at(9, 1), &mut batch);
        let flows = BTreeMap::from([(FlowId(0), at(7, 0)), (FlowId(1), at(9, 1))]);
        let checkpoint = Checkpoint { source_id: "abc".into(), flows };
        assert_eq!(after(&batch), Stored::Whole(checkpoint.clone()));
        let mut flushed = CommandBatch::default();
        checkpoint.write(("me", &Lasting::default()), &mut flushed);
        assert_eq!(after(&flushed), Stored::Whole(checkpoint));
        flushed.push(&[b"HSET", KEY.as_bytes(), b"refused", b"LSET \"k\": no such key"]);
        assert!(matches!(after(&flushed), Stored::Refused(_)));
    }
}
