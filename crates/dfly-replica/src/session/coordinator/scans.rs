//! Tasks beside the flows that look for keys which have to go, and what becomes of them.

use std::sync::Arc;

use tokio::task::JoinError;
use tracing::warn;

use super::{HelperEnd, Running};
use crate::error::Error;
use crate::maintenance::extra_keys::{ExtraKeysScan, Removals};
use crate::maintenance::gone_slots::{GoneKeys, GoneSlotsScan};
use crate::run::control::ControlDesk;
use crate::run::report::Phase;
use crate::slot_set::SlotSet;

impl Running {
    /// Looks for keys that the source does not have, and removes those that may be.
    pub(super) fn scan_for_extra_keys(&mut self, removals: Removals) {
        let scan = ExtraKeysScan {
            config: Arc::clone(&self.config),
            lines: self.scans.clone(),
            settled: Arc::clone(&self.incoming.scan_settled),
            counters: Arc::clone(&self.counters),
            removals,
            lists: self.metadata.written,
        };
        self.helpers.spawn(async move { HelperEnd::ExtraKeys(scan.run().await) });
    }

    /// The keys go of slots that every flow has seen given away. One scan at a time looks for them.
    pub(super) fn remove_gone_slots(&mut self) {
        let slots = self.gone_slots.ready();
        if self.phase != Phase::StableSync || self.is_removing_slots || slots.is_empty() {
            return;
        }
        self.is_removing_slots = true;
        self.counters.set_removing_extra_keys(true);
        self.tell(format!("the source has given {} slots away: their keys go from the target", slots.len()));
        let scan = GoneSlotsScan {
            config: Arc::clone(&self.config),
            lines: self.scans.clone(),
            counters: Arc::clone(&self.counters),
            records: self.gone_slots.done_with(&slots),
            slots,
        };
        self.helpers.spawn(async move {
            let ended = scan.run().await;
            HelperEnd::GoneSlots(scan.slots, ended)
        });
    }

    /// A scan has ended. What it could not do is left to the next session.
    fn on_gone_slots(&mut self, slots: &SlotSet, ended: Result<GoneKeys, Error>) {
        self.is_removing_slots = false;
        self.counters.set_removing_extra_keys(self.metadata.sweep);
        match ended {
            Ok(became) => self.tell(became.to_string()),
            Err(error) => {
                warn!(%error, "keys of slots that the source has given away are not all removed; the next session goes on with it");
                self.tell(format!(
                    "keys of slots that the source has given away are not all removed: {error}"
                ));
                return;
            }
        }
        self.gone_slots.done(slots);
        self.remove_gone_slots();
    }

    pub(super) fn on_helper(
        &mut self,
        ended: Result<HelperEnd, JoinError>,
        desk: &mut ControlDesk,
    ) -> Result<(), Error> {
        match ended {
            Ok(HelperEnd::ExtraKeys(Ok(()))) => {
                (self.metadata.sweep, self.metadata.written) = (false, 0);
                self.counters.set_removing_extra_keys(self.is_removing_slots);
                self.tell("keys that the source does not have are removed");
            }
            Ok(HelperEnd::ExtraKeys(Err(error @ Error::KeysOfOthers { .. }))) if !self.config.asks => {
                return Err(error);
            }
            Ok(HelperEnd::ExtraKeys(Err(
                error @ (Error::TooManyRemovals { .. } | Error::KeysOfOthers { .. }),
            ))) => {
                warn!(%error, "the target keeps them until a person says otherwise");
                self.tell(error.to_string());
                self.counters.set_question(Some(format!("{error}; remove them?")));
                desk.ask();
            }
            Ok(HelperEnd::ExtraKeys(Err(error))) => {
                warn!(%error, "keys that the source does not have are not all removed; the next run goes on with it");
                self.tell(format!("keys that the source does not have are not all removed: {error}"));
            }
            Ok(HelperEnd::GoneSlots(slots, ended)) => self.on_gone_slots(&slots, ended),
            Ok(HelperEnd::Other) => {}
            Err(error) => warn!(%error, "a task beside the flows has failed"),
        }
        Ok(())
    }
}
