//! Keys that the target evicts although the source has them: it is asked now and then how many there were.

use std::sync::Arc;
use std::time::Instant;

use redis_resp::Reply;
use redis_sink::TargetInfo;
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::config::EngineConfig;
use crate::error::Error;
use crate::notice::Notice;
use crate::run::counters::Counters;
use crate::target::connect::connect_target;
use crate::target::questions::{TargetConnection, demand};

/// Watches a target for as long as a session lasts.
#[derive(Debug)]
pub(crate) struct EvictionWatch {
    pub config: Arc<EngineConfig>,
    pub counters: Arc<Counters>,
}

/// What the servers of a target say.
#[derive(Debug, Default)]
struct Seen {
    /// How many keys they have evicted since they were started.
    evicted: u64,
    /// What they evict keys by, if they do.
    policy: Option<String>,
}

/// How many keys were evicted while somebody looked. Pure.
#[derive(Debug, Default)]
struct Evicted {
    last: Option<u64>,
    /// Those that were not told yet.
    untold: u64,
    notice: Notice,
}

impl Evicted {
    /// The servers have evicted so many keys since they were started. Gives how many are new.
    fn see(&mut self, total: u64) -> u64 {
        // A server that was restarted counts from 0 again.
        let new = self.last.map_or(0, |last| total.checked_sub(last).unwrap_or(total));
        self.last = Some(total);
        self.untold += new;
        new
    }

    /// How many are to be told now.
    fn due(&mut self, now: Instant) -> Option<u64> {
        let is_due = self.untold > 0 && self.notice.is_due(now);
        is_due.then(|| std::mem::take(&mut self.untold))
    }
}

impl EvictionWatch {
    /// Asks until the session ends. A target that does not answer is asked again later.
    pub(crate) async fn run(self) {
        let (mut evicted, mut target) = (Evicted::default(), None);
        // What is not allowed to evict does not, unless it is told to in the middle of the run.
        if !self.config.allows_evictions {
            sleep(self.config.eviction_interval).await;
        }
        loop {
            if let Err(error) = self.look(&mut target, &mut evicted).await {
                debug!(%error, "the target does not say how many keys it has evicted");
                target = None;
            }
            sleep(self.config.eviction_interval).await;
        }
    }

    async fn look(
        &self,
        connection: &mut Option<TargetConnection>,
        evicted: &mut Evicted,
    ) -> Result<(), Error> {
        let target = match connection {
            Some(target) => target,
            None => connection.insert(connect_target(&self.config).await?.0),
        };
        let seen = Seen::ask(target).await?;
        if let (None, Some(policy)) = (evicted.last, &seen.policy) {
            warn!(policy, "the target evicts keys when its memory is full; what it evicts is missing there");
        }
        let new = evicted.see(seen.evicted);
        self.counters.evicted(new);
        if let Some(keys) = evicted.due(Instant::now()) {
            self.tell(keys, has_positions(target).await?);
        }
        Ok(())
    }

    fn tell(&self, keys: u64, has_positions: bool) {
        let more = match has_positions {
            true => "",
            false => ", the positions of this tool among them: everything is synchronised again",
        };
        warn!(keys, "the target evicts keys that the source has{more}");
        let text = format!("the target has evicted {keys} keys{more}");
        self.counters.events.push(self.config.clock.host(), text);
    }
}

impl Seen {
    async fn ask(target: &mut TargetConnection) -> Result<Self, Error> {
        let mut seen = Self::default();
        for reply in target.ask_all(&["INFO"]).await? {
            let Reply::Bulk(text) = reply else { continue };
            let Some(info) = TargetInfo::parse(&String::from_utf8_lossy(&text)) else { continue };
            seen.evicted += info.evicted_keys;
            seen.policy = seen.policy.or(info.eviction.map(|eviction| eviction.policy));
        }
        Ok(seen)
    }
}

async fn has_positions(target: &mut TargetConnection) -> Result<bool, Error> {
    let checkpoint = target.names().checkpoint().to_owned();
    Ok(demand(target, "EXISTS", &["EXISTS", &checkpoint]).await? != Reply::Integer(0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// C11: what was evicted before the first look does not count, and it is told once a minute.
    #[test]
    fn evicted_keys_are_counted_from_the_first_look() {
        let (mut evicted, start) = (Evicted::default(), Instant::now());
        assert_eq!((evicted.see(500), evicted.due(start)), (0, None));
        assert_eq!((evicted.see(507), evicted.due(start)), (7, Some(7)));
        assert_eq!((evicted.see(510), evicted.due(start + Duration::from_secs(5))), (3, None));
        assert_eq!((evicted.see(2), evicted.due(start + Duration::from_secs(61))), (2, Some(5)), "restarted");
        assert_eq!((evicted.see(2), evicted.due(start + Duration::from_secs(200))), (0, None));
    }
}
