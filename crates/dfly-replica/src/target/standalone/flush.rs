//! A flush of a single server: one transaction that empties it and writes the positions of all flows behind it. Where only a
//! part of the keys goes, that part is removed before, and can be removed again.

use std::pin::Pin;
use std::sync::Arc;

use dfly_client::FlowId;
use dfly_translate::{CommandFacts, CommandKind, Emptied, Flush};
use dfly_wire::DbIndex;
use redis_resp::CommandBatch;

use super::guard::Guard;
use crate::checkpoint::SETS_FIELDS;
use crate::config::EngineConfig;
use crate::error::Error;
use crate::flow::refetch::Noted;
use crate::target::connect::connect_target;
use crate::target::keyspace_scan;
use crate::target::questions::members;
use crate::target::writer::{FlushPlan, Lasting};

/// A flush on its way.
pub(crate) enum FlushTask {
    /// What precedes the transaction.
    Preparing(Box<FlushPlan>, Pin<Box<dyn Future<Output = Result<Lasting, Error>> + Send>>),
    /// The transaction is in flight.
    Sent,
}

impl FlushTask {
    /// Begins a flush of a source with so many flows.
    pub(crate) fn begin(config: &Arc<EngineConfig>, flows: u16, plan: FlushPlan) -> Self {
        let preparing = prepare(Arc::clone(config), flows, plan.emptied.clone(), plan.flush);
        Self::Preparing(Box::new(plan), Box::pin(preparing))
    }
}

/// Empties what is emptied key by key. Gives what a flush of database 0 takes along of what is still to be refetched in
/// others.
async fn prepare(
    config: Arc<EngineConfig>,
    flows: u16,
    emptied: Emptied,
    flush: Flush,
) -> Result<Lasting, Error> {
    match (emptied, flush) {
        (Emptied::Covered(db), _) => keyspace_scan::remove_covered(&config, db).await?,
        (Emptied::Db(DbIndex(0)), Flush::Db(db)) => return refetched_elsewhere(&config, flows, db).await,
        (Emptied::All | Emptied::Db(_) | Emptied::Nothing, _) => {}
    }
    Ok(Lasting::new())
}

/// What the target holds of the keys that all flows refetch, those of database `but` left out.
async fn refetched_elsewhere(config: &EngineConfig, flows: u16, but: DbIndex) -> Result<Lasting, Error> {
    let (mut target, _) = connect_target(config).await?;
    let mut sets = Lasting::new();
    for flow in (0..flows).map(FlowId) {
        let set = config.rules.names.refetch(flow.0, None);
        let mut found = members(&mut target, "SMEMBERS", &["SMEMBERS", &set]).await?;
        found.retain(|member| Noted::parse(member).is_some_and(|noted| noted.key.db != but));
        if !found.is_empty() {
            sets.push((set.into(), found));
        }
    }
    Ok(sets)
}

/// The transaction.
pub(crate) fn write(plan: &FlushPlan, lasting: &Lasting, guard: &Guard, out: &mut CommandBatch) {
    let control = |db| CommandFacts::new(CommandKind::Control, db).tag();
    let select = |db: DbIndex, out: &mut CommandBatch| {
        out.push_keyed(&[b"SELECT", db.to_string().as_bytes()], 0..0, control(db));
    };
    match plan.emptied {
        Emptied::All => out.push_keyed(&[b"FLUSHALL"], 0..0, control(DbIndex(0))),
        Emptied::Db(DbIndex(0)) => out.push_keyed(&[b"FLUSHDB"], 0..0, control(DbIndex(0))),
        Emptied::Db(db) => {
            select(db, out);
            out.push_keyed(&[b"FLUSHDB"], 0..0, control(db));
            select(DbIndex(0), out);
        }
        Emptied::Covered(_) | Emptied::Nothing => {}
    }
    let request = plan.checkpoint.request(&guard.identity().owner, &plan.metadata);
    let words = [b"HSET".to_vec(), guard.checkpoint().as_bytes().to_vec()].into_iter().chain(request);
    let words: Vec<Vec<u8>> = words.collect();
    out.push_keyed(&words.iter().map(Vec::as_slice).collect::<Vec<_>>(), 1..2, SETS_FIELDS);
    for (set, members) in lasting {
        let members = members.iter().map(|member| &member[..]);
        let words: Vec<&[u8]> = [&b"SADD"[..], set].into_iter().chain(members).collect();
        out.push_keyed(&words, 1..2, SETS_FIELDS);
    }
    guard.exec(out);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use dfly_testkit::{RedisOptions, RedisServer};
    use redis_resp::connection::{Endpoint, Peer};

    use super::*;

    fn at(redis: &RedisServer) -> Endpoint {
        let (host, port) = (redis.address().ip().to_string(), redis.address().port());
        Endpoint::new(Peer::Target, host, port)
    }

    /// A flush of database 0 takes the sets along; what they say of other databases is to last.
    #[tokio::test]
    async fn what_is_refetched_elsewhere() {
        let redis = RedisServer::start(RedisOptions::default()).unwrap();
        let mut client = redis.client().unwrap();
        for line in ["0 0:here ?0:too nonsense", "1 3:there ?30:there:too 0:here"] {
            let (flow, members) = line.split_once(' ').unwrap();
            let set = format!("df2redis:reread:{flow}");
            let words = ["SADD", &set].into_iter().chain(members.split(' '));
            client.expect(&words.map(str::as_bytes).collect::<Vec<_>>()).unwrap();
        }
        let config = EngineConfig::new(at(&redis), at(&redis));
        let mut found = refetched_elsewhere(&config, 2, DbIndex(0)).await.unwrap();
        found.iter_mut().for_each(|(_, members)| members.sort());
        let kept = vec![Bytes::from("3:there"), Bytes::from("?30:there:too")];
        assert_eq!(found, [(Bytes::from("df2redis:reread:1"), kept)]);
    }
}
