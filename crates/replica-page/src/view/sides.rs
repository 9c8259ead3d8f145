//! Source and target, and the run between them.

use replica_api::wire::Side;

use crate::seen::Seen;
use crate::text::{Figure, Phrase, say};

/// One end.
#[derive(Debug)]
pub(crate) struct End {
    pub address: String,
    /// What it is, and its release.
    pub product: Option<String>,
    /// How it is built.
    pub form: Option<Phrase>,
}

/// Source, target, and facts of the run.
#[derive(Debug)]
pub(crate) struct Sides {
    pub source: End,
    pub target: End,
    /// Each fact with its name.
    pub facts: Vec<(Phrase, Phrase)>,
}

fn end(side: &Side, form: Option<Phrase>) -> End {
    End { address: side.address.clone(), product: side.product.clone(), form }
}

fn shards(seen: &Seen) -> Option<Phrase> {
    match seen.status.flows.len() as u64 {
        0 => None,
        1 => Some(say(|t| t.one_shard, [])),
        shards => Some(say(|t| t.shards, [Figure::Count(shards)])),
    }
}

fn form(target: &Side) -> Option<Phrase> {
    match (target.mode.as_deref(), target.primaries) {
        (Some("cluster"), Some(primaries)) => Some(say(|t| t.cluster_of, [Figure::Count(primaries)])),
        (Some("cluster"), None) => Some(say(|t| t.cluster, [])),
        (Some("standalone"), _) => Some(say(|t| t.single_server, [])),
        _ => None,
    }
}

impl Sides {
    /// Of a run.
    pub(crate) fn of(seen: &Seen) -> Self {
        let status = &seen.status;
        let words = |text: &str| say(|t| t.words, [Figure::Words(text.to_owned())]);
        let runs_for = u64::try_from(status.now.saturating_sub(status.started_at)).unwrap_or(0);
        let mut facts = Vec::new();
        facts.extend(status.task.as_deref().map(|task| (say(|t| t.task, []), words(task))));
        if status.started_at > 0 {
            facts.push((say(|t| t.runs_for, []), say(|t| t.one_figure, [Figure::Time(runs_for)])));
        }
        facts.push((say(|t| t.read_so_far, []), say(|t| t.one_figure, [Figure::Bytes(status.bytes)])));
        if !status.version.is_empty() {
            facts.push((say(|t| t.release, []), words(&status.version)));
        }
        Self {
            source: end(&status.source, shards(seen)),
            target: end(&status.target, form(&status.target)),
            facts,
        }
    }
}
