//! A look at the source that answers now, and at what the target would lose to it.

use crate::config::EngineConfig;
use crate::error::Error;
use crate::source::candidates::{self, Master};
use crate::source::identity::SourceIdentity;
use crate::target::connect::connect_target;
use crate::target::databases::count_keys;

/// A source that answers now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub id: String,
    /// Keys that it has, if it says so.
    pub keys: Option<u64>,
}

/// Looks at the master that answers now.
///
/// # Errors
/// [`Error::Source`], if none does.
pub(crate) async fn look(config: &EngineConfig, replica_id: &str) -> Result<Seen, Error> {
    let Master { mut control, session, .. } = candidates::find(config, replica_id, None).await?;
    let identity = SourceIdentity::ask(&mut control).await?;
    Ok(Seen { id: session.replication_id.to_string(), keys: identity.keys })
}

/// How many keys the target holds.
pub(crate) async fn target_keys(config: &EngineConfig) -> Result<u64, Error> {
    let (mut target, _) = connect_target(config).await?;
    count_keys(&mut target).await
}
