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
    /// Every key of the target was looked for at the source. Each flow says so here once what was doubted is noted in the
    /// target.
    AllLookedFor(mpsc::Sender<()>),
    /// Keys of the flow that expire on the target, and when.
    Expiries(Vec<(KeyDigest, UnixMillis)>),
    /// Those were all; the source's LSNs when that was found, a flow each.
    AllExpiries(Vec<Lsn>),
}

/// Who waits for the target to have carried out the transaction that ends here.
#[derive(Debug)]
pub(crate) struct Looked {
    behind: Position,
    tell: mpsc::Sender<()>,
}

impl Flow {
    pub(super) fn find(&mut self, finding: Finding) {
        match finding {
            Finding::Doubt(places) => places.into_iter().for_each(|place| self.want(place)),
            Finding::AllLookedFor(tell) => {
                self.stale = None;
                self.hand_over();
                self.looked = Some(Looked { behind: self.sent, tell });
                self.confirm_look();
            }
            Finding::Expiries(found) => self.expiring.learn_all(&found),
            Finding::AllExpiries(lsns) => {
                if let Some(lsn) = lsns.get(usize::from(self.id.0)) {
                    self.expiring.complete(*lsn);
                }
            }
        }
    }

    pub(super) fn confirm_look(&mut self) {
        if let Some(looked) = self.looked.take_if(|looked| looked.behind <= self.written)
            && looked.tell.try_send(()).is_err()
        {
            debug!(flow = self.id.0, "nobody waits for the look any more");
        }
    }
}
