//! The servers behind the addresses that the user has named.

use std::time::{Duration, Instant};

use redis_resp::connection::{Connection, Endpoint};
use tokio::task::JoinSet;

use super::AddressFacts;
use super::ask::hurried;
use crate::resolve::Resolve;

/// The most addresses that are tried at the same time.
const AT_ONCE: usize = 32;

/// Connects to each address of each name, at the same time. The Sentinels themselves are tried where they are named.
pub(crate) async fn addresses(
    endpoints: &[&Endpoint],
    resolve: Resolve,
    now: fn() -> Instant,
) -> Vec<AddressFacts> {
    let mut named = Vec::new();
    for endpoint in endpoints {
        named.extend(places(endpoint, resolve).await);
    }
    let mut attempts = JoinSet::new();
    let mut found: Vec<AddressFacts> = Vec::new();
    for (at, (name, resolved)) in named.into_iter().enumerate() {
        found.push(AddressFacts { name, addresses: Vec::new() });
        for endpoint in resolved.into_iter().take(AT_ONCE) {
            attempts.spawn(async move { (at, shown(&endpoint), reach(&endpoint, now).await) });
        }
    }
    while let Some(Ok((at, address, outcome))) = attempts.join_next().await {
        if let Some(name) = found.get_mut(at) {
            name.addresses.push((address, outcome));
        }
    }
    found.iter_mut().for_each(|name| name.addresses.sort_by(|one, other| one.0.cmp(&other.0)));
    found
}

/// What is to be tried for an endpoint: each name, and each of its addresses. A name that the resolver does not know has none.
async fn places(endpoint: &Endpoint, resolve: Resolve) -> Vec<(String, Vec<Endpoint>)> {
    if endpoint.socket.is_some() {
        return vec![(endpoint.to_string(), vec![endpoint.clone()])];
    }
    let hosts: Vec<Endpoint> = match &endpoint.sentinels {
        Some(sentinels) => {
            sentinels.addresses.iter().map(|(host, port)| endpoint.at(host.clone(), *port)).collect()
        }
        None => vec![endpoint.clone()],
    };
    let mut places = Vec::new();
    for host in hosts {
        let name = format!("{}:{}", host.host, host.port);
        places.push((name, resolve(host).await.unwrap_or_default()));
    }
    places
}

fn shown(endpoint: &Endpoint) -> String {
    endpoint.address.map_or_else(|| endpoint.to_string(), |address| address.to_string())
}

async fn reach(endpoint: &Endpoint, now: fn() -> Instant) -> Result<Duration, String> {
    let began = now();
    match Connection::open(&hurried(endpoint)).await {
        Ok(_) => Ok(now().duration_since(began)),
        Err(error) => Err(error.to_string()),
    }
}
