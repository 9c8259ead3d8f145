//! Whether a source that was promoted had received everything that was read of the master before.
//!
//! A promoted Dragonfly goes on with the numbers of its master's journal from where it stood, and its backlog begins there
//! (`ReplicaOfNoOne`, v1.40.1). What its master wrote behind that is unknown to it, and it gives the same numbers to records
//! of its own. It accepts a position that lies behind some of those. So it is asked whether its backlog holds the record
//! before the position: if so, that record is its own.

use dfly_client::driver::FlowConn;
use dfly_client::{FlowId, FlowRequest, ReplicationId, Resume, Session, SyncKind};
use dfly_journal::Lsn;

use super::resume::Resumed;
use crate::config::EngineConfig;
use crate::error::Error;

/// Asks in this session, which is of no use for anything else then. The positions were reached with the master `was`.
///
/// # Errors
/// [`Error::Diverged`], if the positions lie behind records that only the source has; and those of a handshake.
pub(super) async fn check(
    config: &EngineConfig,
    session: &Session,
    was: &ReplicationId,
    resumed: &[Resumed],
) -> Result<(), Error> {
    let before: Vec<Lsn> = resumed.iter().map(|resumed| Lsn(resumed.ask.0.saturating_sub(1))).collect();
    let resume = Resume::LastMaster(was.clone(), before.clone());
    // A flow that closes ends the whole session.
    let mut open = Vec::with_capacity(before.len());
    for (flow, before) in (0..).map(FlowId).zip(&before) {
        if *before == Lsn(0) {
            continue;
        }
        let request = FlowRequest { session, flow, resume: &resume };
        let (conn, start) = FlowConn::open(&config.source, &request).await?;
        open.push(conn);
        if start.kind == SyncKind::Partial {
            return Err(Error::Diverged { flow, next: Lsn(before.0 + 1) });
        }
    }
    Ok(())
}
