//! The source is taken over: it takes no writes any more, waits until every flow has acknowledged its last record, and shuts down.

use std::time::Duration;

use redis_resp::Reply;
use tokio::time::timeout;

use super::coordinator::Running;
use crate::run::control::ControlError;

/// How much longer than the source waits its answer may take.
const GRACE: Duration = Duration::from_secs(2);

impl Running {
    /// Flows acknowledge by themselves what is durable, and behind a PING at once.
    pub(super) async fn take_over(&mut self, within: Duration) -> Result<(), ControlError> {
        let request = self.session.take_over(within);
        match timeout(within + GRACE, self.control.ask(&request)).await {
            Ok(Ok(Reply::Simple(_))) => Ok(()),
            Ok(Ok(Reply::Error(error))) => Err(ControlError::Refused(error.line)),
            Ok(Ok(other)) => Err(ControlError::Refused(format!("{other:?}"))),
            Ok(Err(error)) => Err(ControlError::Refused(error.to_string())),
            Err(_elapsed) => Err(ControlError::Refused("it does not answer".to_owned())),
        }
    }
}
