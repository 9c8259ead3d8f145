//! What a run does about a source that is not the one that it has followed.

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::warn;

use super::{Engine, Met};
use crate::backoff::Backoff;
use crate::error::Error;
use crate::run::new_source::{self, Seen};
use crate::run::report::Phase;
use crate::run::stop::{Stop, stopped_during, told};
use crate::source::history::{NewSource, Verdict};

impl Engine {
    /// Another source answers than the one that was followed.
    ///
    /// # Errors
    /// [`Error::NewSource`], if it is not to be followed.
    pub(super) async fn meet_new_source(
        &mut self,
        id: &str,
        stop: &mut watch::Receiver<Stop>,
    ) -> Result<Met, Error> {
        let mut pauses = Backoff::new(self.config.reconnect.first_delay, self.config.reconnect.longest_delay);
        let mut told_of = None;
        loop {
            let seen = new_source::look(&self.config, &self.replica_id).await.ok();
            let Some(seen) = seen.filter(|seen| seen.id == id) else {
                self.publisher.counters.set_question(None);
                let is_told = stopped_during(pauses.next_delay(u16::MAX), stop).await;
                return Ok(if is_told { Met::Stopped } else { Met::Gone });
            };
            let error = self.new_source(&seen).await;
            match error.verdict(&self.config) {
                Verdict::Stop => return Err(error.into()),
                Verdict::Resync => return Ok(self.admit(&seen.id, &error)),
                Verdict::Wait => {
                    if told_of != Some(seen.keys) {
                        self.ask_about(&error);
                        told_of = Some(seen.keys);
                    }
                }
            }
            tokio::select! {
                accepts = self.desk.answered() => return match accepts {
                    true => Ok(self.admit(&seen.id, &error)),
                    false => Err(error.into()),
                },
                () = told(stop) => return Ok(Met::Stopped),
                () = sleep(pauses.next_delay(u16::MAX)) => {}
            }
        }
    }

    /// What the source before had, and what this one has.
    async fn new_source(&self, seen: &Seen) -> NewSource {
        let had = match self.publisher.counters.source_keys() {
            Some(had) => Some(had),
            None => new_source::target_keys(&self.config).await.ok(),
        };
        let was = self.publisher.source_id.clone();
        NewSource { was: was.unwrap_or_default(), had, is: seen.id.clone(), has: seen.keys }
    }

    fn ask_about(&mut self, new: &NewSource) {
        warn!(%new, "the target stays as it is: waiting for the data to come back, for the source that was followed, or for a person's word");
        self.publisher.tell(new.to_string());
        self.publisher.counters.set_question(Some(format!("{new}; synchronise fully from it?")));
        self.publisher.announce(Phase::Reconnecting);
    }

    /// The source is synchronised from.
    fn admit(&mut self, id: &str, new: &NewSource) -> Met {
        warn!(%new, "synchronising fully from it");
        self.publisher.tell(format!("synchronising fully: {new}"));
        self.publisher.counters.set_question(None);
        self.allowed = Some([id.to_owned()].into());
        Met::Admitted
    }

    /// The source is a replica now. If it is a master again one day, it has the same id and other data.
    pub(super) fn demote(&mut self) -> Option<String> {
        let id = self.publisher.source_id.clone()?;
        self.allowed.get_or_insert_default().remove(&id);
        Some(id)
    }

    /// Whether the source that was flushed in the full synchronisation is still the one that was followed: one that becomes a
    /// replica empties itself first.
    pub(super) async fn is_still_followed(&self) -> bool {
        match new_source::look(&self.config, &self.replica_id).await {
            Ok(seen) => Some(seen.id) == self.publisher.source_id,
            Err(error) => {
                warn!(%error, "the source's flush is not carried out");
                false
            }
        }
    }
}
