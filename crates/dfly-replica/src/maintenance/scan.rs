//! What all scans of the target have in common: they go on beside the flows, tell them what they find, and begin anew when a
//! server was gone meanwhile.

use std::collections::BTreeMap;

use dfly_client::FlowId;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::debug;

use crate::config::EngineConfig;
use crate::error::Error;
use crate::flow::scan_events::ScanEvent;
use crate::target::retry_policy::is_passing;

/// A line to each flow.
pub(crate) type ScanLines = BTreeMap<FlowId, mpsc::Sender<ScanEvent>>;

/// Scans until that succeeds, or fails in a way that does not pass.
pub(crate) async fn until_done<F, L, T>(config: &EngineConfig, scan: F) -> Result<T, Error>
where
    F: Fn() -> L + Send,
    L: Future<Output = Result<T, Error>> + Send,
{
    loop {
        match scan().await {
            Err(error) if error.is_passing() || error.is_login() || is_passing(&error) => {
                debug!(%error, "the target is scanned again");
                sleep(config.reconnect.longest_delay).await;
            }
            ended => return ended,
        }
    }
}

/// Waits for room: a flow at a flush takes nothing.
pub(crate) async fn tell(line: &mpsc::Sender<ScanEvent>, event: ScanEvent) -> Result<(), Error> {
    line.send(event).await.map_err(|_gone| flow_is_gone())
}

/// The session ends.
pub(crate) fn flow_is_gone() -> Error {
    Error::Internal("the flow is gone".to_owned())
}
