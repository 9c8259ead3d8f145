//! Somebody compares all keys in step, again and again, while everything goes on: no verdict may be wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use dfly_journal::Lsn;
use dfly_wire::DbIndex;

use super::super::{FlowAnswer, FlowRequest, Heard};
use super::rig::Rig;
use super::session::Session;
use crate::flow::watched_keys::{Bounds, Settled, WatchId};
use crate::keys::SourceKey;
use crate::target::in_memory::server::lock;

const KEYS: [&str; 11] = ["a", "b", "c", "d", "e", "f", "g", "x", "y", "z", "extra"];

type Values = BTreeMap<Bytes, Vec<u8>>;

/// How far a comparison has come.
#[derive(Debug, Default)]
pub(super) enum Check {
    #[default]
    Idle,
    Watched,
    Began(Lsn),
    Read(Lsn, Values),
    Settling(Values),
    Settled(Values, Vec<Settled>),
    Compared {
        source: Values,
        settled: Vec<Settled>,
        target: Values,
    },
}

/// One comparison after the other.
#[derive(Debug, Default)]
pub(super) struct Checks {
    last: u64,
    holds: bool,
    stage: Check,
}

impl Rig {
    /// The comparison goes on by one step, and whatever else happens may happen in between.
    pub(super) fn check(&mut self, session: &mut Session) {
        let checks = &mut session.checks;
        let id = WatchId(checks.last);
        let mut request = None;
        checks.stage = match std::mem::take(&mut checks.stage) {
            Check::Idle => {
                checks.last += 1;
                checks.holds = self.chance.once_in(3);
                let keys = KEYS.map(|name| SourceKey::new(DbIndex(0), name)).to_vec();
                let (id, holds) = (WatchId(checks.last), checks.holds);
                request = Some(FlowRequest::Watch { id, keys, holds, heard: Arc::new(Heard(None)) });
                Check::Watched
            }
            Check::Watched => Check::Began(self.source.next_lsn()),
            Check::Began(before) => Check::Read(before, self.source.keys.clone()),
            Check::Read(before, source) => {
                let bounds = Bounds { before, behind: self.source.next_lsn() };
                request = Some(FlowRequest::Settle(id, bounds));
                Check::Settling(source)
            }
            settling @ Check::Settling(_) => settling,
            Check::Settled(source, settled) => {
                let target = lock(&self.server).data();
                Check::Compared { source, settled, target }
            }
            compared @ Check::Compared { .. } => {
                request = Some(FlowRequest::Release(id));
                compared
            }
        };
        if let Some(request) = request {
            session.core.on_request(request, &session.writer, self.now.instant);
            self.act(session);
        }
    }

    /// The flow has answered a comparison.
    pub(super) fn on_check(&mut self, answer: FlowAnswer, session: &mut Session) {
        let checks = &mut session.checks;
        match (answer, std::mem::take(&mut checks.stage)) {
            (FlowAnswer::Settled(id, _, Some(settled)), Check::Settling(source)) if id.0 == checks.last => {
                checks.stage = Check::Settled(source, settled);
            }
            (FlowAnswer::Released(_, _, Some(touched)), Check::Compared { source, settled, target }) => {
                let holds = checks.holds;
                self.judge_check(&source, &target, settled.into_iter().zip(touched));
                self.count(if holds { "compared while the flow was held" } else { "compared" });
            }
            _ => self.count("comparison broken off"),
        }
    }

    fn judge_check(
        &mut self,
        source: &Values,
        target: &Values,
        verdicts: impl Iterator<Item = (Settled, bool)>,
    ) {
        for (name, (settled, is_touched)) in KEYS.into_iter().zip(verdicts) {
            match settled {
                Settled::Stands(lsn) if !is_touched => {
                    let [there, here] = [source, target].map(|values| values.get(name.as_bytes()));
                    assert_eq!(there, here, "seed {}: {name} at {lsn}", self.plan.seed);
                    self.count("a key compared");
                }
                Settled::Stands(_) => self.count("a key touched while the target was read"),
                Settled::Waits => self.count("a key compared that waits"),
                Settled::Touched => self.count("a key touched while the source was read"),
            }
        }
    }
}
