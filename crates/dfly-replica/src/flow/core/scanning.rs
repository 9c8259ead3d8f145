//! What scans of the target tell a flow, and when that is durable.

use super::{Action, FlowCore};
use crate::flow::scan_events::{ScanEnd, ScanEvent};
use crate::target::writer::TargetWriter;

impl FlowCore {
    /// A scan of the target has found something.
    pub(crate) fn on_scan(&mut self, event: ScanEvent, target: &mut dyn TargetWriter) {
        match event {
            ScanEvent::Extra(keys) => self.refetch.begin_extra_keys(keys),
            ScanEvent::AllLookedFor(from) => self.scan = Some(ScanEnd::From(from)),
            ScanEvent::Expiries(found) => self.admission.expiry.learn_all(&found),
            ScanEvent::AllExpiries(from) => self.admission.expiry.complete(from),
        }
        self.write_notes(target);
    }

    /// Whether a scan may tell the next thing that it has found.
    pub(crate) fn takes_scan_events(&self) -> bool {
        !self.flush.is_reached() && self.refetch.takes_extra_keys()
    }

    /// Behind a batch that was committed: whether the flow has come to the end of the scan. Whatever the scan has found is on
    /// its way then.
    pub(super) fn pass_scan(&mut self) {
        let received = self.positions.received().unwrap_or_default();
        if let Some(ScanEnd::From(from)) = self.scan
            && from <= received
        {
            self.admission.unsynced = None;
            self.scan = Some(ScanEnd::Behind(self.positions.sent()));
            self.confirm_scan();
        }
    }

    pub(super) fn confirm_scan(&mut self) {
        let Some(durable) = self.positions.durable() else { return };
        if let Some(ScanEnd::Behind(behind)) = self.scan
            && durable >= behind
        {
            let has_notes = self.refetch.has_unwritten() || !self.writer.is_empty();
            let sent = self.positions.sent().transaction;
            self.scan = Some(ScanEnd::Noted(if has_notes { sent + 1 } else { sent }));
        }
        if let Some(ScanEnd::Noted(transaction)) = self.scan
            && durable.transaction >= transaction
        {
            self.scan = None;
            self.actions.push_back(Action::ScanSettled);
        }
    }
}
