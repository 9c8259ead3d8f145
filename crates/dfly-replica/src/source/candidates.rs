//! The addresses at which the source may be. One of them leads to the master: after a switchover to another than before.

use std::time::Duration;

use dfly_client::driver::{ControlConn, OpenError};
use dfly_client::{Claim, HandshakeError, Session};
use redis_resp::connection::{ConnectionError, Endpoint};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use crate::checkpoint::Checkpoint;
use crate::config::EngineConfig;
use crate::error::Error;

/// How long the other addresses are waited for once one has led to a master.
const OTHERS: Duration = Duration::from_secs(1);

/// The master that was found.
#[derive(Debug)]
pub(crate) struct Master {
    pub endpoint: Endpoint,
    pub control: ControlConn,
    pub session: Session,
}

impl Master {
    /// Shakes hands once more with the same server: a session of its own begins.
    ///
    /// # Errors
    /// [`Error::Source`]; another server than before is one that was lost.
    pub(crate) async fn begin_again(&mut self, replica_id: &str) -> Result<(), Error> {
        let (control, session) = ControlConn::open(&self.endpoint, replica_id).await?;
        if session.replication_id != self.session.replication_id {
            return Err(HandshakeError::Mixed.into());
        }
        (self.control, self.session) = (control, session);
        Ok(())
    }
}

/// Shakes hands with the master among the source's addresses. Of several masters, the one that goes on from the positions of
/// `at` is taken.
///
/// # Errors
/// [`Error::Source`]: that of the address that says most.
pub(crate) async fn find(
    config: &EngineConfig,
    replica_id: &str,
    at: Option<&Checkpoint>,
) -> Result<Master, Error> {
    let endpoints = endpoints(config).await;
    if let [endpoint] = endpoints.as_slice() {
        let (control, session) = ControlConn::open(endpoint, replica_id).await?;
        return Ok(Master { endpoint: endpoint.clone(), control, session });
    }
    let mut attempts = JoinSet::new();
    for (nth, endpoint) in endpoints.into_iter().enumerate() {
        let replica_id = replica_id.to_owned();
        attempts.spawn(async move {
            let opened = ControlConn::open(&endpoint, &replica_id).await;
            (nth, endpoint, opened)
        });
    }
    let (mut found, mut failures, mut until) = (Vec::new(), Vec::new(), None);
    while let Some(ended) = next(&mut attempts, until).await {
        match ended {
            (nth, endpoint, Ok((control, session))) => {
                until = until.or_else(|| Some(Instant::now() + OTHERS));
                found.push((worth(&session, at), nth, Master { endpoint, control, session }));
            }
            (nth, endpoint, Err(error)) => {
                debug!(%endpoint, %error, "not at this address");
                failures.push((says(&error), nth, error));
            }
        }
    }
    found.sort_by_key(|(worth, nth, _)| (*worth, *nth));
    failures.sort_by_key(|(says, nth, _)| (*says, *nth));
    match (found.into_iter().next(), failures.into_iter().next()) {
        (Some((_, _, master)), _) => Ok(master),
        (None, Some((_, _, error))) => Err(error.into()),
        (None, None) => Err(Error::Internal("the source has no address".to_owned())),
    }
}

/// The next attempt that has ended; `None` when all have, or it is too late.
async fn next<T: 'static>(attempts: &mut JoinSet<T>, until: Option<Instant>) -> Option<T> {
    let ended = match until {
        Some(until) => timeout_at(until, attempts.join_next()).await.ok()?,
        None => attempts.join_next().await,
    };
    ended?.ok()
}

/// Every address of the source. A name that several addresses stand for is one for each.
async fn endpoints(config: &EngineConfig) -> Vec<Endpoint> {
    let mut all = Vec::new();
    for endpoint in [&config.source].into_iter().chain(&config.other_sources) {
        match endpoint.resolved().await {
            Ok(addresses) if addresses.len() > 1 => all.extend(addresses),
            // Whoever connects hears what the resolver says.
            Ok(_) | Err(_) => all.push(endpoint.clone()),
        }
    }
    all
}

/// How well a master fits the positions; less is better.
fn worth(session: &Session, at: Option<&Checkpoint>) -> u8 {
    match at.map(|at| session.claim(&at.source_id, at.flows.len())) {
        Some(Claim::Own) => 0,
        Some(Claim::LastMaster(_)) => 1,
        Some(Claim::IfReleaseTakes(_)) => 2,
        Some(Claim::Nothing(_)) | None => 3,
    }
}

/// How much a failure says when no address leads to a master; less is more.
fn says(error: &OpenError) -> u8 {
    match error {
        OpenError::Handshake(HandshakeError::Loading) => 0,
        OpenError::Handshake(HandshakeError::IsReplica(_)) => 1,
        OpenError::Handshake(_) => 2,
        OpenError::Connection(ConnectionError::Connect { .. }) => 4,
        _ => 3,
    }
}
