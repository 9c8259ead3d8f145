//! `Connection` to real servers: with TLS, and by Sentinel; and replies that are too long.

#![expect(clippy::unwrap_used, reason = "a failed expectation must stop the test")]

mod long_reply;
mod sentinel;
mod tls;

use redis_resp::Reply;
use redis_resp::connection::{Connection, Endpoint};

/// What the server at `endpoint` answers, or why it does not; credentials are given first.
async fn ask(endpoint: &Endpoint, request: &[&str]) -> Result<Reply, String> {
    let mut connection = Connection::open(endpoint).await.map_err(|error| error.to_string())?;
    if let Some(credentials) = &endpoint.credentials {
        connection.log_in(credentials).await.map_err(|error| error.to_string())?;
    }
    connection.ask(request).await.map_err(|error| error.to_string())
}
