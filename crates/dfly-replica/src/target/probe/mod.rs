//! What a target takes and what its user may do, found out before anything is written. Requests are queued in a transaction
//! that is discarded, so that the server checks them and carries out none.

pub(crate) mod list;
pub(crate) mod needs;

use std::collections::BTreeSet;
use std::sync::Arc;

use dfly_translate::Ability;

use redis_resp::connection::Connection;
use redis_resp::{CommandBatch, ErrorCode, Reply};
use redis_sink::{TargetError, TargetInfo};
use redis_slots::Address;
use tracing::warn;

use list::needs;
use needs::{Instead, Lack, Lacks, Need, TargetKind, refuses_other_slots};

use super::connect::connect_target;
use super::questions::TargetConnection;
use crate::config::EngineConfig;
use crate::error::Error;

/// The setting of the largest argument.
const LARGEST: &str = "proto-max-bulk-len";

/// A server that is probed, over a connection of its own.
struct Probe {
    connection: Connection,
    kind: TargetKind,
    /// Reserved keys in different slots.
    keys: [String; 2],
    lacks: Lacks,
}

/// What the target does in another way than a Redis without restrictions, so that a run has to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Restrictions {
    /// It takes no RESTORE.
    pub without_restore: bool,
    /// It takes no MSET.
    pub without_mset: bool,
    /// It takes no FLUSHALL or no FLUSHDB.
    pub without_flush: bool,
    /// Records that become commands that it does not take.
    pub refetched_records: BTreeSet<&'static str>,
    /// What it can do, and its user may not.
    pub forbidden_abilities: BTreeSet<Ability>,
    /// The largest argument that it takes, in bytes, if it says.
    pub largest_argument: Option<usize>,
    /// What is lacking, and what is done without it.
    pub replaced: Vec<(Lack, Instead)>,
}

impl Restrictions {
    /// Says what a run has to do without.
    pub(crate) fn announce(&self) {
        for (lack, instead) in &self.replaced {
            warn!(%lack, "the target can be used without this: {instead}");
        }
    }

    /// Has a run keep to them.
    pub(crate) fn apply(&self, config: &mut EngineConfig) {
        config.largest_argument = self.largest_argument.unwrap_or(config.largest_argument);
        let rules = Arc::make_mut(&mut config.rules);
        rules.without_restore = self.without_restore;
        rules.without_mset |= self.without_mset;
        rules.selection.removes_by_key = self.without_flush;
        rules.refetched_records.clone_from(&self.refetched_records);
        rules.forbidden_abilities.clone_from(&self.forbidden_abilities);
    }
}

/// For what a target is to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uses {
    /// For a run.
    Run,
    /// For a run, and to be compared with the source.
    RunAndComparison,
}

/// Connects to the target for the first time, and finds out whether a run can do what it needs.
///
/// # Errors
/// The connection's; [`Error::Lacks`] with everything that is lacking, and [`Error::Unfit`] for several servers behind one
/// address.
pub(crate) async fn meet(
    config: &EngineConfig,
    uses: Uses,
) -> Result<(TargetConnection, Restrictions), Error> {
    match connect_target(config).await {
        Ok((mut target, known)) => {
            let kind = TargetKind {
                is_cluster: target.has_slots(),
                waits: config.wait_replicas > 0,
                compares: uses == Uses::RunAndComparison,
                abilities: Some(known),
            };
            let found = restrictions(config, &mut target, kind).await?;
            Ok((target, found))
        }
        Err(error) => Err(explain(config, error).await),
    }
}

/// What each primary lacks.
async fn restrictions(
    config: &EngineConfig,
    target: &mut TargetConnection,
    kind: TargetKind,
) -> Result<Restrictions, Error> {
    let mut all = Lacks::default();
    let Some(cluster) = target.cluster() else {
        let connection = TargetInfo::log_in(&config.target).await?;
        let lacks = Probe::new(config, connection, kind).run().await?;
        return conclude(&config.target.to_string(), lacks);
    };
    for address in cluster.primaries().cloned().collect::<Vec<Address>>() {
        let connection = cluster.connect(&address).await?;
        let lacks = Probe::new(config, connection, kind).run().await?;
        if !lacks.needed.is_empty() {
            return conclude(&address.to_string(), lacks);
        }
        all.replaced.extend(lacks.replaced);
        all.largest_argument = all.largest_argument.into_iter().chain(lacks.largest_argument).min();
    }
    all.replaced.sort();
    all.replaced.dedup();
    conclude(&config.target.to_string(), all)
}

/// The error of a server that may not even be asked what it is, with everything else that is lacking.
async fn explain(config: &EngineConfig, error: Error) -> Error {
    let is_forbidden = matches!(
        &error,
        Error::Target(TargetError::Refused { error, .. }) if error.code == ErrorCode::NoPermission
    );
    if !is_forbidden {
        return error;
    }
    let lacks = async {
        let connection = TargetInfo::log_in(&config.target).await?;
        let kind = TargetKind { is_cluster: false, waits: false, compares: false, abilities: None };
        conclude(&config.target.to_string(), Probe::new(config, connection, kind).run().await?)
    };
    lacks.await.err().filter(|lacks| matches!(lacks, Error::Lacks { .. })).unwrap_or(error)
}

fn conclude(address: &str, lacks: Lacks) -> Result<Restrictions, Error> {
    if !lacks.needed.is_empty() {
        return Err(Error::Lacks { address: address.to_owned(), lacks: lacks.needed });
    }
    Ok(Restrictions {
        without_restore: lacks.has(Instead::WriteCommands),
        without_mset: lacks.has(Instead::WriteOneByOne),
        without_flush: lacks.has(Instead::RemoveKeys),
        refetched_records: lacks.refetched_records(),
        forbidden_abilities: lacks.forbidden_abilities(),
        largest_argument: lacks.largest_argument,
        replaced: lacks.replaced,
    })
}

impl Probe {
    fn new(config: &EngineConfig, connection: Connection, kind: TargetKind) -> Self {
        let keys = ["a", "b"].map(|tag| format!("{}probe:{{{tag}}}", config.rules.names.prefix()));
        Self { connection, kind, keys, lacks: Lacks::default() }
    }

    async fn run(mut self) -> Result<Lacks, Error> {
        if !self.queues().await? {
            return Ok(self.lacks);
        }
        let (asked, mut batch): (Vec<&'static Need>, _) =
            (needs(self.kind).collect(), CommandBatch::default());
        for need in &asked {
            push(&mut batch, &need.words(&self.keys[0]));
        }
        push(&mut batch, &["DISCARD"]);
        let mut answers = self.ask(&mut batch).await?;
        let discarded = answers.pop();
        for (need, answer) in asked.into_iter().zip(&answers) {
            self.lacks.hear(need, answer);
        }
        // A connection that is still in the transaction is of no more use.
        if matches!(discarded, Some(Reply::Simple(_))) {
            self.carry_out().await?;
        }
        Ok(self.lacks)
    }

    /// Whether commands behind MULTI are queued. Nothing else is sent to a server that carries them out.
    async fn queues(&mut self) -> Result<bool, Error> {
        let mut batch = CommandBatch::default();
        push(&mut batch, &["MULTI"]);
        push(&mut batch, &["EXISTS", &self.keys[0]]);
        let answers = self.ask(&mut batch).await?;
        let need = Need::transactions();
        if let Some(multi) = answers.first() {
            self.lacks.hear(need, multi);
        }
        let is_queued = match answers.as_slice() {
            [Reply::Simple(_), Reply::Simple(queued)] => queued == "QUEUED",
            [Reply::Simple(_), Reply::Error(_)] => true,
            _ => false,
        };
        if !is_queued && self.lacks.needed.is_empty() {
            self.lacks.need(Lack::Transactions);
        }
        Ok(is_queued)
    }

    /// A transaction that reads two keys, and a script that has them. Besides, a setting that the user may not be allowed to
    /// read.
    async fn carry_out(&mut self) -> Result<(), Error> {
        let mut batch = CommandBatch::default();
        if !self.kind.is_cluster {
            push(&mut batch, &Need::watch().words(&self.keys[0]));
        }
        push(&mut batch, &["MULTI"]);
        if !self.kind.is_cluster {
            self.keys.iter().for_each(|key| push(&mut batch, &["EXISTS", key]));
        }
        push(&mut batch, &["EXEC"]);
        let exec = batch.len() - 1;
        if !self.kind.is_cluster {
            push(&mut batch, &["EVAL", "return 1", "2", &self.keys[0], &self.keys[1]]);
        }
        push(&mut batch, &["CONFIG", "GET", LARGEST]);
        let answers = self.ask(&mut batch).await?;
        self.lacks.hear_limit(answers.last());
        if let Some(answer) = answers.first().filter(|_| !self.kind.is_cluster) {
            self.lacks.hear(Need::watch(), answer);
        }
        if let Some(answer) = answers.get(exec) {
            self.lacks.hear(Need::exec(), answer);
        }
        match refuses_other_slots(&answers) {
            Some(answer) if !self.kind.is_cluster => Err(self.unfit(&answer)),
            _ => Ok(()),
        }
    }

    fn unfit(&self, answer: &str) -> Error {
        Error::Unfit {
            address: self.connection.address().to_owned(),
            reason: format!(
                "is several servers behind one address: it refuses two keys in one transaction or script ({answer}); name a node of the cluster behind it, or a single server"
            ),
        }
    }

    async fn ask(&mut self, batch: &mut CommandBatch) -> Result<Vec<Reply>, Error> {
        Ok(self.connection.ask_all(batch).await.map_err(TargetError::from)?)
    }
}

fn push(batch: &mut CommandBatch, words: &[&str]) {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    batch.push(&words);
}
