//! A flow at a flush: everything before it is durable, then one flow carries it out, then all go on (I3, P10). The source
//! is read on meanwhile.

use std::sync::Arc;

use bytes::Bytes;
use dfly_journal::Lsn;
use dfly_translate::{Emptied, Flush};
use dfly_wire::DbIndex;
use tracing::info;

use super::{Flow, FlowEnd, Mark, Order, Signal, Waited, Want, Wanted};
use crate::checkpoint::{self, Checkpoint};
use crate::cluster::flush::Behind;
use crate::config::EngineConfig;
use crate::error::{Error, FlowError};
use crate::lasting::Lasting;
use crate::target::{self, connect_target};
use crate::{cluster, sweep};

/// Whether a flow has come to a flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtFlush {
    /// It has not.
    No,
    /// What precedes the flush is not durable yet.
    Draining(Flush, Lsn),
    /// It waits for the other flows, and for the one that carries the flush out.
    Waiting(Flush, Lsn),
}

impl AtFlush {
    pub(super) fn is_waiting(self) -> bool {
        self != Self::No
    }
}

impl Flow {
    /// Takes note of a flush, and says so once everything before it is durable.
    pub(super) fn reach_flush(&mut self, want: Want) -> Result<(), FlowError> {
        if let (Want::Flush(flush, next), AtFlush::No) = (want, self.at_flush) {
            self.at_flush = AtFlush::Draining(flush, next);
        }
        if let AtFlush::Draining(flush, next) = self.at_flush
            && self.sink.is_idle()
        {
            self.at_flush = AtFlush::Waiting(flush, next);
            self.signal(Signal::AtFlush(flush, self.sent.then(next)))?;
        }
        Ok(())
    }

    pub(super) async fn obey(&mut self, order: Order) -> Result<Waited, FlowError> {
        match (order, self.at_flush) {
            (Order::Execute(positions, lasting), AtFlush::Waiting(flush, next)) => {
                let lasting = Lasting { sharding: self.sharding.or(lasting.sharding), ..*lasting };
                return match self.is_in_cluster() {
                    true => self.execute_in_cluster((flush, next), (&positions, lasting)).await,
                    false => self.execute((flush, next), (&positions, lasting)).await,
                };
            }
            (Order::Pass, AtFlush::Waiting(flush, next)) => self.pass(flush, next),
            // An order that crossed with the end of the wait.
            (Order::Execute(..) | Order::Pass, _) => {}
        }
        Ok(Waited::Moved)
    }

    /// A flush removes the stored positions too, so they are written anew in its transaction. Where only a part of the
    /// target is emptied, that is done before, and can be done again.
    async fn execute(
        &mut self,
        (flush, next): (Flush, Lsn),
        (positions, lasting): (&Checkpoint, Lasting),
    ) -> Result<Waited, FlowError> {
        let emptied = flush.on_target(&self.config.rules.selection);
        let wanted = match before_emptying(&self.config, (&emptied, flush), self.source.1).await {
            Ok(wanted) => wanted,
            Err(error) => return Err(FlowError::Target(Box::new(error))),
        };
        checkpoint::open_guarded(&self.parties, (self.id, self.sent), &mut self.batch);
        match emptied {
            Emptied::All => self.batch.push(&[b"FLUSHALL"]),
            Emptied::Db(db) => {
                self.translator.select(db, &mut self.batch);
                self.batch.push(&[b"FLUSHDB"]);
            }
            Emptied::Covered(_) | Emptied::Nothing => {}
        }
        self.translator.select(DbIndex(0), &mut self.batch);
        positions.write((&self.parties.owner, &lasting), &mut self.batch);
        for (set, members) in wanted {
            let words: Vec<&[u8]> =
                [&b"SADD"[..], &set].into_iter().chain(members.iter().map(|m| &m[..])).collect();
            self.batch.push_keyed(&words, 1..2, checkpoint::SETS_FIELDS);
        }
        self.batch.push_keyed(&[b"EXEC"], 0..0, checkpoint::CONTROL);
        if let Some(progress) = &mut self.progress {
            progress.receive(next);
            progress.dispatch(next);
        }
        self.sent = self.sent.then(next);
        self.submit(Mark::Before(self.sent));
        if let FlowEnd::TargetLost(error) = self.drain().await? {
            return Ok(Waited::TargetLost(error));
        }
        info!(flow = self.id.0, ?flush, "emptied the target, as the source was");
        self.signal(Signal::Flushed)?;
        Ok(Waited::Moved)
    }

    /// In a cluster a flush is no part of a transaction, and can be done again until it is complete.
    async fn execute_in_cluster(
        &mut self,
        (flush, next): (Flush, Lsn),
        (positions, lasting): (&Checkpoint, Lasting),
    ) -> Result<Waited, FlowError> {
        let owner = self.parties.owner.as_str();
        let mut fields = positions.request((owner, &lasting)).split_off(2);
        // Nobody knows of these positions but the hash itself.
        for flow in positions.flows.keys() {
            fields.extend([cluster::witness::field(*flow).into_bytes(), Vec::new()]);
        }
        let replicas = self.config.wait_replicas;
        let behind = Behind { owner, fields, flows: &positions.flows, replicas };
        match empty_cluster(&self.config, flush, &behind).await {
            Ok(()) => {}
            Err(error) if target::is_passing(&error) => {
                return Ok(Waited::TargetLost(FlowError::Target(Box::new(error))));
            }
            Err(error) => return Err(FlowError::Target(Box::new(error))),
        }
        if let Some(progress) = &mut self.progress {
            progress.receive(next);
            progress.dispatch(next);
            progress.settle(next);
        }
        self.sent = self.sent.then(next);
        self.written = self.sent;
        info!(flow = self.id.0, ?flush, "emptied the target, as the source was");
        self.signal(Signal::Flushed)?;
        Ok(Waited::Moved)
    }

    /// The flush is durable: the position moves behind it, as the flow that carried it out has written.
    fn pass(&mut self, flush: Flush, next: Lsn) {
        if self.sent.next != next || self.written != self.sent {
            self.sent = self.sent.then(next);
            self.written = self.sent;
        }
        if let Some(progress) = &mut self.progress {
            progress.receive(next);
            progress.dispatch(next);
            progress.settle(next);
        }
        if let Some(keeping) = &mut self.keeping {
            // It may be the flow's first position.
            keeping.stored_elsewhere(self.sent);
            self.entered = true;
        }
        self.passed.clear();
        self.at_flush = AtFlush::No;
        self.translator.flushed(flush);
        self.wanted.flushed(flush);
        if flush == Flush::All {
            self.stale = None;
            self.expiring.flushed();
        }
        self.settle();
    }
}

/// Empties what is emptied key by key. Gives what a flush of database 0 takes along of what is still wanted in others: sets
/// of the target, and their members.
async fn before_emptying(
    config: &Arc<EngineConfig>,
    (emptied, flush): (&Emptied, Flush),
    flows: u16,
) -> Result<Vec<(Bytes, Vec<Bytes>)>, Error> {
    match (emptied, flush) {
        (Emptied::Covered(db), _) => sweep::empty(config, *db).await?,
        (Emptied::Db(DbIndex(0)), Flush::Db(db)) => return Wanted::elsewhere(config, (flows, db)).await,
        (Emptied::All | Emptied::Db(_) | Emptied::Nothing, _) => {}
    }
    Ok(Vec::new())
}

async fn empty_cluster(config: &Arc<EngineConfig>, flush: Flush, behind: &Behind<'_>) -> Result<(), Error> {
    let (mut target, _) = connect_target(config).await?;
    // A run that comes later closes these connections, or is seen by what is told first.
    target.ask_all(&["PING"]).await?;
    match flush.on_target(&config.rules.selection) {
        Emptied::All | Emptied::Db(_) => cluster::flush::empty_all(&mut target, behind).await,
        Emptied::Covered(db) => cluster::flush::empty_covered((&mut target, config), db, behind).await,
        // Such a flush stops no flow.
        Emptied::Nothing => Ok(()),
    }
}
