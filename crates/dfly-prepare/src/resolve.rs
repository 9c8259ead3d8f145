//! Who is asked for the addresses of a name.

use std::io;
use std::pin::Pin;

use redis_resp::connection::Endpoint;

/// The addresses of a name: an endpoint for each.
pub type Resolved = Pin<Box<dyn Future<Output = io::Result<Vec<Endpoint>>> + Send>>;

/// Asks for the addresses of an endpoint's name.
pub type Resolve = fn(Endpoint) -> Resolved;

/// Asks the resolver of the system.
pub fn by_system(endpoint: Endpoint) -> Resolved {
    Box::pin(async move { endpoint.resolved().await })
}
