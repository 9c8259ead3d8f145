//! What all looks at the whole target have in common: they go on beside the flows, tell them what they find, and begin anew
//! when a server was gone meanwhile.

use std::collections::BTreeMap;

use dfly_client::FlowId;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::debug;

use crate::config::EngineConfig;
use crate::error::Error;
use crate::flow::Finding;
use crate::target;

/// A line to each flow.
pub(crate) type Lines = BTreeMap<FlowId, mpsc::Sender<Finding>>;

/// Looks until it succeeds, or fails in a way that does not pass.
pub(crate) async fn until_done<F, L>(config: &EngineConfig, look: F) -> Result<(), Error>
where
    F: Fn() -> L + Send,
    L: Future<Output = Result<(), Error>> + Send,
{
    loop {
        match look().await {
            Err(error) if error.is_passing() || target::is_passing(&error) => {
                debug!(%error, "the target is looked at again");
                sleep(config.reconnect.longest_delay).await;
            }
            ended => return ended,
        }
    }
}

/// Waits for room: a flow at a flush takes nothing.
pub(crate) async fn tell(line: &mpsc::Sender<Finding>, finding: Finding) -> Result<(), Error> {
    line.send(finding).await.map_err(|_gone| gone())
}

pub(crate) fn gone() -> Error {
    Error::Internal("the flow is gone".to_owned())
}
