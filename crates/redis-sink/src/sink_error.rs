//! Why nothing more can be written through a connection.

use std::io;

use redis_resp::ReplyError;
use thiserror::Error;

use crate::window::WindowError;

/// Why nothing more can be written through a connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SinkError {
    /// The connection broke, or the target closed it. What is in flight may or may not have been carried out.
    #[error("the connection to the target broke: {0}")]
    Broken(#[source] io::Error),
    /// What the target sent is not RESP.
    #[error("the target does not speak RESP: {0}")]
    Reply(#[from] ReplyError),
    /// The target refused a command, or sent a reply although nothing was in flight.
    #[error(transparent)]
    Window(#[from] WindowError),
}
