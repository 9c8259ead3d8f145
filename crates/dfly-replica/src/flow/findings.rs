//! What looks at the whole target tell a flow, beside its records. While the flow waits at a flush they wait too: what they
//! bring may begin a transaction.

use dfly_journal::Lsn;
use dfly_wire::UnixMillis;
use tokio::sync::mpsc;
use tracing::debug;

use super::Flow;
use crate::checkpoint::Position;
use crate::expiries::KeyDigest;
use crate::reread::Place;

/// What was found.
#[derive(Debug)]
pub(crate) enum Finding {
    /// The source may not have these keys of the flow any more: they are to be read again.
    Doubt(Vec<Place>),
    /// Every key of the target was looked for at the source.
    AllLookedFor(Look),
    /// Keys of the flow that expire on the target, and when.
    Expiries(Vec<(KeyDigest, UnixMillis)>),
    /// Those were all; the source's LSNs when that was found, a flow each.
    AllExpiries(Vec<Lsn>),
}

/// The end of a look at every key of the target.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    /// The source's LSNs at that time, a flow each. Records before may still meet a value that the source did not have: it
    /// had made the key anew by then.
    pub lsns: Vec<Lsn>,
    /// Each flow says so here once it has come so far, and what was doubted is noted in the target.
    pub tell: mpsc::Sender<()>,
}

/// What becomes of the end of a look.
#[derive(Debug)]
pub(crate) enum Looked {
    /// The flow has not come so far.
    From(Lsn, mpsc::Sender<()>),
    /// The target has not carried out the transaction that ends here.
    Behind(Position, mpsc::Sender<()>),
}

impl Flow {
    pub(super) fn find(&mut self, finding: Finding) {
        match finding {
            Finding::Doubt(places) => places.into_iter().for_each(|place| self.want(place)),
            Finding::AllLookedFor(Look { lsns, tell }) => {
                let from = lsns.get(usize::from(self.id.0)).copied().unwrap_or(Lsn(u64::MAX));
                self.looked = Some(Looked::From(from, tell));
            }
            Finding::Expiries(found) => self.expiring.learn_all(&found),
            Finding::AllExpiries(lsns) => {
                if let Some(lsn) = lsns.get(usize::from(self.id.0)) {
                    self.expiring.complete(*lsn);
                }
            }
        }
    }

    /// Behind a batch that was handed over: whether the flow has come to the end of the look. Whatever was doubted is on its
    /// way then.
    pub(super) fn pass_look(&mut self) {
        let received = self.progress.as_ref().map(crate::progress::Progress::received).unwrap_or_default();
        if let Some(Looked::From(_, tell)) =
            self.looked.take_if(|looked| matches!(looked, Looked::From(from, _) if *from <= received))
        {
            self.stale = None;
            self.looked = Some(Looked::Behind(self.sent, tell));
            self.confirm_look();
        }
    }

    pub(super) fn confirm_look(&mut self) {
        let written = self.written;
        if let Some(Looked::Behind(_, tell)) =
            self.looked.take_if(|looked| matches!(looked, Looked::Behind(behind, _) if *behind <= written))
            && tell.try_send(()).is_err()
        {
            debug!(flow = self.id.0, "nobody waits for the look any more");
        }
    }
}
