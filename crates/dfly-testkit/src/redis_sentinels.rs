//! A primary and its replica, and Sentinels that monitor them and promote the replica when the primary fails.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use thiserror::Error;

use crate::redis_client::{RedisClient, RedisError};
use crate::redis_server::{Flavor, RedisOptions, RedisServer, RedisServerError, ServerTls};

/// The name of the service.
const SERVICE: &str = "orders";

/// The time without a reply after which the primary counts as down, in milliseconds.
const DOWN_AFTER_MS: u32 = 500;

/// How many times a condition is checked before the Sentinels count as failed, and the pause between checks. Together, 30
/// seconds at most.
const TRIES: u32 = 1500;
const WAIT: Duration = Duration::from_millis(20);

/// How servers and Sentinels are started.
#[derive(Debug, Clone)]
pub struct SentinelOptions {
    /// How many Sentinels there are. A fail-over needs a majority of them.
    pub sentinels: usize,
    /// The password of the servers.
    pub password: Option<String>,
    /// The password of the Sentinels.
    pub sentinel_password: Option<String>,
    /// If set, all processes have a TLS port and use TLS among themselves. The Sentinels then name the TLS port.
    pub tls: Option<ServerTls>,
}

impl Default for SentinelOptions {
    fn default() -> Self {
        Self { sentinels: 1, password: None, sentinel_password: None, tls: None }
    }
}

/// Why there are no Sentinels, or no fail-over.
#[derive(Debug, Error)]
pub enum SentinelError {
    /// A process cannot be started or stopped.
    #[error(transparent)]
    Server(#[from] RedisServerError),
    /// One of the processes does not answer, or refuses a command.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// The Sentinels did not reach a state in time.
    #[error("the sentinels did not reach this state in time: {0}")]
    Slow(&'static str),
}

/// Two servers and their Sentinels, all on 127.0.0.1. They end when this is dropped.
#[derive(Debug)]
pub struct RedisSentinels {
    /// The initial primary.
    pub first: RedisServer,
    /// Its replica.
    pub second: RedisServer,
    /// The Sentinels that monitor them.
    pub sentinels: Vec<RedisServer>,
}

impl RedisSentinels {
    /// Starts all processes and waits until the replica follows the primary, and every Sentinel knows the replica and the
    /// other Sentinels.
    ///
    /// # Errors
    /// [`SentinelError`].
    pub fn start(options: &SentinelOptions) -> Result<Self, SentinelError> {
        let first = RedisServer::start(server(options, &[]))?;
        let (at, port) = (address(&first), address(&first).port().to_string());
        let second = RedisServer::start(server(options, &["--replicaof", "127.0.0.1", &port]))?;
        let sentinels = (0..options.sentinels)
            .map(|_| RedisServer::start(sentinel(options, at)))
            .collect::<Result<_, _>>()?;
        let all = Self { first, second, sentinels };
        all.wait_until("the replica follows and all are known", |all| {
            let replication = text(&mut all.second.client()?, "INFO replication")?;
            Ok(replication.contains("master_link_status:up") && all.all_know()?)
        })?;
        Ok(all)
    }

    fn all_know(&self) -> Result<bool, SentinelError> {
        let others = self.sentinels.len().saturating_sub(1);
        for sentinel in &self.sentinels {
            let mut client = sentinel.client()?;
            let told = text(&mut client, "INFO sentinel")?;
            let counts =
                format!("status=ok,address={},slaves=1,sentinels={}", address(&self.first), others + 1);
            if !told.contains(&counts) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The name of the service.
    pub fn service(&self) -> &'static str {
        SERVICE
    }

    /// The addresses of the Sentinels: `127.0.0.1:port,127.0.0.1:port`.
    pub fn addresses(&self) -> String {
        let addresses = self.sentinels.iter().map(|sentinel| address(sentinel).to_string());
        addresses.collect::<Vec<_>>().join(",")
    }

    /// Kills the first server (`SIGKILL`) and waits until the second is the primary and every Sentinel names it.
    ///
    /// # Errors
    /// [`SentinelError`].
    pub fn fail_over(&mut self) -> Result<(), SentinelError> {
        self.first.kill()?;
        self.wait_until("the replica is promoted", |all| {
            let replication = text(&mut all.second.client()?, "INFO replication")?;
            Ok(replication.contains("role:master") && all.all_name(address(&all.second))?)
        })
    }

    fn all_name(&self, primary: SocketAddr) -> Result<bool, SentinelError> {
        for sentinel in &self.sentinels {
            if !text(&mut sentinel.client()?, "INFO sentinel")?.contains(&format!("address={primary},")) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits until `holds` returns true. It is retried if it fails, because clients are disconnected while a replica is
    /// promoted.
    fn wait_until(
        &self,
        what: &'static str,
        holds: impl Fn(&Self) -> Result<bool, SentinelError>,
    ) -> Result<(), SentinelError> {
        let mut last = SentinelError::Slow(what);
        for _ in 0..TRIES {
            last = match holds(self) {
                Ok(true) => return Ok(()),
                Ok(false) => SentinelError::Slow(what),
                Err(failed) => failed,
            };
            thread::sleep(WAIT);
        }
        Err(last)
    }
}

/// The address at which clients and the other processes reach it.
fn address(server: &RedisServer) -> SocketAddr {
    server.tls_address().unwrap_or(server.address())
}

fn server(options: &SentinelOptions, further: &[&str]) -> RedisOptions {
    let mut args: Vec<String> = further.iter().map(|word| (*word).to_owned()).collect();
    args.extend(["--repl-diskless-sync-delay".to_owned(), "0".to_owned()]);
    if let Some(password) = &options.password {
        args.extend(["--masterauth".to_owned(), password.clone()]);
    }
    if options.tls.is_some() {
        args.extend(["--tls-replication".to_owned(), "yes".to_owned()]);
    }
    let (requirepass, tls) = (options.password.clone(), options.tls.clone());
    RedisOptions { requirepass, tls, args, ..RedisOptions::default() }
}

fn sentinel(options: &SentinelOptions, primary: SocketAddr) -> RedisOptions {
    let mut args = vec![
        format!("sentinel monitor {SERVICE} {} {} 1", primary.ip(), primary.port()),
        format!("sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}"),
        format!("sentinel failover-timeout {SERVICE} 5000"),
    ];
    args.extend(options.password.iter().map(|password| format!("sentinel auth-pass {SERVICE} {password}")));
    args.extend(
        options.sentinel_password.iter().map(|password| format!("sentinel sentinel-pass {password}")),
    );
    args.extend(options.tls.iter().map(|_| "tls-replication yes".to_owned()));
    let (requirepass, tls) = (options.sentinel_password.clone(), options.tls.clone());
    RedisOptions { flavor: Flavor::Sentinel, requirepass, tls, args, ..RedisOptions::default() }
}

fn text(client: &mut RedisClient, line: &str) -> Result<String, SentinelError> {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    Ok(client.expect(&words)?.text().unwrap_or_default())
}
