//! Watches of keys over several flows: which flow answers for which key.

use std::collections::BTreeMap;

use dfly_client::FlowId;
use dfly_journal::Lsn;

use super::error::ControlError;
use super::request::{ReleasedSender, SettledSender, reply};
use crate::flow::watched_keys::{Bounds, Settled, WatchId};
use crate::keys::SourceKey;

/// The most keys of one watch.
pub const MOST_WATCHED: usize = 512;

/// The most watches at a time.
const MOST_WATCHES: usize = 32;

/// What somebody waits for.
#[derive(Debug)]
enum Awaited {
    Nothing,
    Settled { flows: usize, keys: Vec<Settled>, answer: SettledSender },
    Released { flows: usize, keys: Vec<bool>, answer: ReleasedSender },
}

/// One watch.
#[derive(Debug)]
struct Watch {
    /// Which keys each flow answers for, by their places in the request.
    routes: BTreeMap<FlowId, Vec<usize>>,
    keys: usize,
    awaited: Awaited,
}

/// The watches of a session.
#[derive(Debug, Default)]
pub(super) struct Watches {
    last: u64,
    open: BTreeMap<WatchId, Watch>,
}

impl Watches {
    /// Another watch, and the keys that each flow is to watch. A key whose flow is not known is watched by all of them.
    pub(super) fn begin(
        &mut self,
        keys: &[SourceKey],
        flows: &[FlowId],
        owner: impl Fn(&[u8]) -> Option<FlowId>,
    ) -> Result<(WatchId, BTreeMap<FlowId, Vec<SourceKey>>), ControlError> {
        if self.open.len() >= MOST_WATCHES {
            return Err(ControlError::TooManyWatches);
        }
        let (mut routes, mut shares) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
        for (place, key) in keys.iter().enumerate() {
            let owner = owner(&key.name);
            for flow in flows.iter().copied().filter(|flow| owner.is_none_or(|owner| owner == *flow)) {
                routes.entry(flow).or_default().push(place);
                shares.entry(flow).or_default().push(key.clone());
            }
        }
        self.last += 1;
        let id = WatchId(self.last);
        self.open.insert(id, Watch { routes, keys: keys.len(), awaited: Awaited::Nothing });
        Ok((id, shares))
    }

    /// The source was read. Gives what each flow is to be told.
    pub(super) fn settle(
        &mut self,
        id: WatchId,
        (before, behind): (&[Lsn], &[Lsn]),
        answer: SettledSender,
    ) -> Vec<(FlowId, Bounds)> {
        let Some(watch) = self.open.get_mut(&id) else {
            reply(answer, Err(ControlError::WatchOver));
            return Vec::new();
        };
        let bounds = |flow: &FlowId| {
            let nth = usize::from(flow.0);
            Some((*flow, Bounds { before: *before.get(nth)?, behind: *behind.get(nth)? }))
        };
        let told: Option<Vec<_>> = watch.routes.keys().map(bounds).collect();
        match told {
            None => reply(answer, Err(ControlError::WrongFlows { flows: watch.routes.len() })),
            Some(told) if told.is_empty() => reply(answer, Ok(Vec::new())),
            Some(told) => {
                let keys = vec![Settled::Stands(Lsn(0)); watch.keys];
                watch.awaited = Awaited::Settled { flows: told.len(), keys, answer };
                return told;
            }
        }
        Vec::new()
    }

    /// The target was read. Gives the flows that are to be told.
    pub(super) fn release(&mut self, id: WatchId, answer: ReleasedSender) -> Vec<FlowId> {
        let Some(watch) = self.open.get_mut(&id) else {
            reply(answer, Err(ControlError::WatchOver));
            return Vec::new();
        };
        let flows: Vec<FlowId> = watch.routes.keys().copied().collect();
        if flows.is_empty() {
            self.open.remove(&id);
            reply(answer, Ok(Vec::new()));
            return flows;
        }
        watch.awaited = Awaited::Released { flows: flows.len(), keys: vec![false; watch.keys], answer };
        flows
    }

    /// A flow has come to where the source was read. Where several answer for a key, the worst holds.
    pub(super) fn settled(&mut self, id: WatchId, flow: FlowId, said: Option<Vec<Settled>>) {
        let Some(watch) = self.open.get_mut(&id) else { return };
        let Awaited::Settled { flows, keys, .. } = &mut watch.awaited else { return };
        let is_over = said.is_none();
        for (place, state) in places(&watch.routes, flow).zip(said.unwrap_or_default()) {
            if let Some(key) = keys.get_mut(place) {
                *key = (*key).max(state);
            }
        }
        *flows -= 1;
        if (*flows == 0 || is_over)
            && let Awaited::Settled { keys, answer, .. } =
                std::mem::replace(&mut watch.awaited, Awaited::Nothing)
        {
            reply(answer, if is_over { Err(ControlError::WatchOver) } else { Ok(keys) });
        }
    }

    /// A flow has ended its part of a watch.
    pub(super) fn released(&mut self, id: WatchId, flow: FlowId, said: Option<Vec<bool>>) {
        let Some(watch) = self.open.get_mut(&id) else { return };
        let Awaited::Released { flows, keys, .. } = &mut watch.awaited else { return };
        let is_over = said.is_none();
        for (place, is_touched) in places(&watch.routes, flow).zip(said.unwrap_or_default()) {
            if let Some(key) = keys.get_mut(place) {
                *key |= is_touched;
            }
        }
        *flows -= 1;
        if (*flows == 0 || is_over)
            && let Some(Watch { awaited: Awaited::Released { keys, answer, .. }, .. }) = self.open.remove(&id)
        {
            reply(answer, if is_over { Err(ControlError::WatchOver) } else { Ok(keys) });
        }
    }

    /// The session is over.
    pub(super) fn end_session(&mut self) {
        for (_, watch) in std::mem::take(&mut self.open) {
            match watch.awaited {
                Awaited::Nothing => {}
                Awaited::Settled { answer, .. } => reply(answer, Err(ControlError::NoSession)),
                Awaited::Released { answer, .. } => reply(answer, Err(ControlError::NoSession)),
            }
        }
    }
}

fn places(routes: &BTreeMap<FlowId, Vec<usize>>, flow: FlowId) -> impl Iterator<Item = usize> + use<'_> {
    routes.get(&flow).into_iter().flatten().copied()
}
