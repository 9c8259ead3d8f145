//! The bytes of a scripted master: snapshots of its model, and the journals of its shards.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use xxhash_rust::xxh64::xxh64;

use super::stream_of;
use crate::front::{FirstPart, FlowAsk, FlowGrant, Identity, Origin, PartialForm, Refusal, SecondPart};
use crate::journal_walk::Mark;
use crate::script::{
    Baseline, Logged, Lsns, Model, Op, OpError, Record, Script, ShardOp, Snapshot, journal_blob,
    offset_and_eof, place, record_of, shard_of,
};

const PING: u8 = 13;
const MISSING: &str = "ERR syncid not found";

/// A shard's journal.
#[derive(Debug)]
struct Shard {
    next_lsn: u64,
    ring: VecDeque<Record>,
    /// When LSN records are due in the live stream.
    lsns: Lsns,
}

/// What a replica of a scripted master holds.
#[derive(Debug, Clone)]
pub struct StaleReplica {
    model: Model,
    next_lsns: Vec<u64>,
}

/// What the reply to FLOW granted.
#[derive(Debug, Clone, Default)]
struct Grant {
    token: String,
    /// The LSN from which the flow continues, if it is partial.
    from: Option<u64>,
}

#[derive(Debug)]
pub(super) struct ScriptedOrigin {
    script: Script,
    shards: Vec<Shard>,
    /// Dragonfly's journal is off until the first FLOW.
    journal_on: bool,
    epoch: u64,
    last_master: Option<String>,
    txid: u64,
    /// Indexed by session and flow.
    grants: Vec<Vec<Grant>>,
    /// The first parts of the session that synchronises. They are made for all flows at the same moment.
    firsts: Vec<Option<FirstPart>>,
    /// The journals with which stable sync begins, by flow: the first LSN and the records. `None` if the backlog has lost
    /// some records.
    journals: Vec<Option<(u64, Vec<Record>)>>,
}

impl ScriptedOrigin {
    pub(super) fn new(script: Script) -> Self {
        let shards = (0..script.shards).map(|_| Shard::new(script.lsn_every)).collect();
        let (grants, firsts, journals) = Default::default();
        Self {
            script,
            shards,
            journal_on: false,
            epoch: 0,
            last_master: None,
            txid: 0,
            grants,
            firsts,
            journals,
        }
    }

    pub(super) fn script(&self) -> &Script {
        &self.script
    }

    pub(super) fn repl_id(&self) -> String {
        hex40(&format!("master {}", self.epoch))
    }

    pub(super) fn next_lsns(&self) -> Vec<u64> {
        self.shards.iter().map(|shard| shard.next_lsn).collect()
    }

    pub(super) fn restart(&mut self) {
        self.epoch += 1;
        self.journal_on = false;
        self.last_master = None;
        self.shards = (0..self.script.shards).map(|_| Shard::new(self.script.lsn_every)).collect();
    }

    /// A replica is promoted. Its backlog begins with that.
    pub(super) fn fail_over(&mut self) {
        self.last_master = Some(self.repl_id());
        self.epoch += 1;
        self.shards.iter_mut().for_each(|shard| shard.ring.clear());
    }

    pub(super) fn replica(&self) -> StaleReplica {
        StaleReplica { model: self.script.model.clone(), next_lsns: self.next_lsns() }
    }

    pub(super) fn fail_over_to(&mut self, replica: StaleReplica) {
        self.fail_over();
        self.script.model = replica.model;
        for (shard, next_lsn) in self.shards.iter_mut().zip(replica.next_lsns) {
            shard.next_lsn = next_lsn;
        }
    }

    pub(super) fn blob(&self, record: &[u8]) -> Vec<u8> {
        journal_blob(&self.script.style, record)
    }

    /// The LSN record that follows `record` in the live stream, if one is due.
    pub(super) fn marker(&mut self, record: &Record) -> Option<Vec<u8>> {
        self.shards.get_mut(record.shard)?.lsns.after(record.lsn)
    }

    pub(super) fn ping(&mut self) -> Vec<Record> {
        (0..self.shards.len()).filter_map(|shard| self.log(shard, vec![PING])).collect()
    }

    /// Runs an operation and logs it.
    pub(super) fn execute(&mut self, op: &Op) -> Result<Vec<Record>, OpError> {
        Ok(self.execute_with_keys(op)?.into_iter().map(|(record, _)| record).collect())
    }

    fn execute_with_keys(&mut self, op: &Op) -> Result<Vec<(Record, Logged)>, OpError> {
        let applied = self.script.model.run(op)?;
        let (model, style) = (&self.script.model, &self.script.style);
        let logged = place(op, applied, self.script.shards, |key| {
            let entry = model.get(op.db, key);
            let payload = entry.and_then(|entry| crate::script::dump(style, key, entry));
            (payload.unwrap_or_default(), entry.map_or(-1, |entry| entry.expire_at_ms))
        });
        if logged.len() > 1 {
            self.txid += 1;
        }
        let txid = if logged.len() > 1 { self.txid } else { 0 };
        let record = |logged: Logged| Some((self.log(logged.shard, record_of(&logged, txid))?, logged));
        Ok(logged.into_iter().filter_map(record).collect())
    }

    fn log(&mut self, shard: usize, bytes: Vec<u8>) -> Option<Record> {
        let capacity = self.script.backlog;
        let log = self.shards.get_mut(shard).filter(|_| self.journal_on)?;
        let record = Record { shard, lsn: log.next_lsn, bytes };
        log.next_lsn += 1;
        log.ring.push_back(record.clone());
        while log.ring.len() > capacity {
            log.ring.pop_front();
        }
        Some(record)
    }

    /// The records from `lsn` on, if the backlog still has all of them.
    fn backlog(&self, shard: usize, lsn: u64) -> Option<Vec<Record>> {
        let shard = self.shards.get(shard)?;
        let oldest = shard.ring.front().map_or(shard.next_lsn, |record| record.lsn);
        let there = lsn >= oldest && lsn <= shard.next_lsn && lsn > 0;
        there.then(|| shard.ring.iter().filter(|record| record.lsn >= lsn).cloned().collect())
    }

    /// The LSN from which a request can continue.
    fn partial_from(&self, ask: &FlowAsk) -> Option<u64> {
        let lsn = match (&ask.lsn, &ask.last_master) {
            (Some(lsn), _) => *lsn,
            (None, Some((id, lsns))) if self.last_master.as_ref() == Some(id) => *lsns.get(ask.flow)?,
            _ => return None,
        };
        self.backlog(ask.flow, lsn).map(|_| lsn)
    }

    fn grant(&self, session: usize, flow: usize) -> Grant {
        self.grants.get(session).and_then(|flows| flows.get(flow)).cloned().unwrap_or_default()
    }

    /// Takes the snapshot of all shards, with the script's operations among its entries.
    fn snapshot(&mut self) -> Vec<Option<FirstPart>> {
        let shards = self.script.shards;
        let mut baselines: Vec<Baseline> = vec![Vec::new(); shards];
        for (at, entry) in self.script.model.entries() {
            if let Some(baseline) = baselines.get_mut(shard_of(&at.1, shards)) {
                baseline.push((at.clone(), entry.clone()));
            }
        }
        let during = std::mem::take(&mut self.script.during);
        let during = self.shard_ops(&during);
        let tail = std::mem::take(&mut self.script.tail);
        let tail = self.shard_ops(&tail);
        let ops = during.into_iter().zip(tail);
        let style = &self.script.style;
        let part =
            |((shard, baseline), (during, tail)): ((usize, Baseline), (Vec<ShardOp>, Vec<ShardOp>))| {
                let tail = tail.into_iter().map(|op| op.bytes).collect();
                Some(Snapshot { style, shard, shards, baseline, during, tail }.first_part())
            };
        baselines.into_iter().enumerate().zip(ops).map(part).collect()
    }

    /// Runs operations and sorts their records by shard. Operations that the model refuses now are not logged.
    fn shard_ops(&mut self, ops: &[Op]) -> Vec<Vec<ShardOp>> {
        let mut by_shard: Vec<Vec<ShardOp>> = vec![Vec::new(); self.script.shards];
        for op in ops {
            for (record, logged) in self.execute_with_keys(op).unwrap_or_default() {
                let keys = logged.keys.into_iter().map(|key| (logged.db, key)).collect();
                if let Some(own) = by_shard.get_mut(record.shard) {
                    own.push(ShardOp { keys, bytes: record.bytes });
                }
            }
        }
        by_shard
    }

    /// The LSN from which a flow's journal directly follows STARTSTABLE.
    fn direct(&self, session: usize, flow: usize) -> Option<u64> {
        self.grant(session, flow).from.filter(|_| self.script.partial == PartialForm::StartStable)
    }

    /// The records that every flow has to catch up with, followed by those of the script's operations.
    fn begin_stable(&mut self, session: usize) -> Vec<Option<(u64, Vec<Record>)>> {
        let begin = |flow| match self.direct(session, flow) {
            Some(lsn) => self.backlog(flow, lsn).map(|records| (lsn, records)),
            None => self.shards.get(flow).map(|shard| (shard.next_lsn, Vec::new())),
        };
        let mut journals: Vec<_> = (0..self.shards.len()).map(begin).collect();
        for op in std::mem::take(&mut self.script.stable) {
            // All operations were tried when the master started. Later operations may make one of them fail; it is skipped
            // then.
            for record in self.execute(&op).unwrap_or_default() {
                if let Some(Some((_, records))) = journals.get_mut(record.shard) {
                    records.push(record);
                }
            }
        }
        journals
    }

    /// A snapshot stream that holds only the backlog from `lsn` on (protocol section 6.2, flow A).
    fn backlog_snapshot(&self, flow: usize, lsn: u64) -> Option<FirstPart> {
        let tail = self.backlog(flow, lsn)?.into_iter();
        let during = tail.map(|record| ShardOp { keys: Vec::new(), bytes: record.bytes }).collect();
        let (style, shards) = (&self.script.style, self.script.shards);
        let snapshot =
            Snapshot { style, shard: flow, shards, baseline: Vec::new(), during, tail: Vec::new() };
        Some(snapshot.first_part())
    }
}

impl Shard {
    fn new(lsn_every: usize) -> Self {
        Self { next_lsn: 1, ring: VecDeque::new(), lsns: Lsns::new(lsn_every) }
    }
}

impl Origin for ScriptedOrigin {
    fn identity(&self) -> Identity {
        let new = self.script.partial == PartialForm::StartStable;
        Identity {
            repl_id: self.repl_id(),
            lineage_id: self.repl_id(),
            version: if new { 5 } else { 4 },
            shards: self.script.shards,
            release: if new { "df-v1.40.1" } else { "df-v1.34.2" }.to_owned(),
            partial_form: self.script.partial,
        }
    }

    fn open(&mut self, _session: usize, _complete: bool) -> Result<(), Refusal> {
        self.grants.push(vec![Grant::default(); self.script.shards]);
        Ok(())
    }

    fn flow(&mut self, ask: &FlowAsk) -> Result<FlowGrant, Refusal> {
        let from = self.partial_from(ask);
        let token = hex40(&format!("token {} {} {}", self.epoch, ask.session, ask.flow));
        self.journal_on = true;
        let slot = self.grants.get_mut(ask.session).and_then(|flows| flows.get_mut(ask.flow));
        let slot = slot.ok_or(Refusal { reply: MISSING, violation: None })?;
        *slot = Grant { token: token.clone(), from };
        Ok(FlowGrant { partial: from.is_some(), token })
    }

    fn first(&mut self, session: usize, flow: usize) -> Option<FirstPart> {
        if let Some(lsn) = self.grant(session, flow).from {
            return self.backlog_snapshot(flow, lsn);
        }
        if flow == 0 {
            self.firsts = self.snapshot();
        }
        self.firsts.get_mut(flow)?.take()
    }

    fn second(&mut self, session: usize, flow: usize) -> Option<SecondPart> {
        if flow == 0 {
            self.journals = self.begin_stable(session);
        }
        let (start_lsn, records) = self.journals.get_mut(flow)?.take()?;
        let mut bytes = match self.direct(session, flow) {
            Some(_) => Vec::new(),
            None => offset_and_eof(&self.script.style, start_lsn, &self.grant(session, flow).token),
        };
        let token_end = bytes.len();
        let mut lsns = Lsns::new(self.script.lsn_every);
        let (journal, marks) = stream_of(records.iter(), &mut lsns);
        bytes.extend(journal);
        self.shards.get_mut(flow)?.lsns = lsns;
        let marks = marks.into_iter().map(|mark| Mark { end: mark.end + token_end, ..mark }).collect();
        Some(SecondPart { bytes, token_end, start_lsn, marks })
    }

    fn lsns(&self) -> Vec<u64> {
        self.next_lsns()
    }

    fn key_counts(&self) -> Option<BTreeMap<u32, usize>> {
        let mut counts = BTreeMap::new();
        for ((db, _), _) in self.script.model.entries() {
            *counts.entry(*db).or_default() += 1;
        }
        Some(counts)
    }

    fn keys(&self, db: u32) -> Option<Vec<Vec<u8>>> {
        let entries = self.script.model.entries().filter(|((of, _), _)| *of == db);
        Some(entries.map(|((_, key), _)| key.to_vec()).collect())
    }

    fn read(&self, db: u32, key: &[u8]) -> Result<Option<(Vec<u8>, i64)>, &'static str> {
        let Some(entry) = self.script.model.get(db, key) else { return Ok(None) };
        let payload = crate::script::dump(&self.script.style, &Bytes::copy_from_slice(key), entry);
        payload.map(|payload| Some((payload, entry.expire_at_ms))).ok_or("ERR not written by this master")
    }

    fn ends_by_itself(&self, _session: usize) -> bool {
        false
    }
}

/// 40 hexadecimal characters, determined by `seed`.
fn hex40(seed: &str) -> String {
    let mut text: String = (0..3).map(|i| format!("{:016x}", xxh64(seed.as_bytes(), i))).collect();
    text.truncate(40);
    text
}
