//! The JSON API of a running replication, under `/api/v1`.
//!
//! What it is: the types of requests and answers ([`wire`]), a server that speaks for a run's [`Control`](dfly_replica::Control)
//! and reports ([`server`]), and a [`client`] for a Unix socket or an address. One listener serves whatever else belongs to
//! the process: [`server::routes`] is a router that others are merged with.
//!
//! What it is not: it decides nothing about the replication, and it knows no flag, no file but its socket, and no page.
//!
//! The socket's file mode is the permission: whoever may open the socket may do everything. On an address, whatever changes
//! the run needs a token.
//!
//! ```
//! use dfly_replica::{Engine, EngineConfig};
//! use redis_resp::connection::{Endpoint, Peer};
//! use replica_api::client::Client;
//! use replica_api::server::{Access, Replication, SocketFile, routes, serve};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let endpoint = |peer, port| Endpoint::new(peer, "127.0.0.1", port);
//! let config = EngineConfig::new(endpoint(Peer::Source, 6379), endpoint(Peer::Target, 6380));
//! let (engine, reports) = Engine::new(config);
//! let folder = std::env::temp_dir().join(format!("replica-api-{}", std::process::id()));
//! std::fs::create_dir_all(&folder)?;
//! let socket = SocketFile::bind(&folder.join("control.sock"))?;
//! let path = socket.path().to_owned();
//! let replication = Replication::new(engine.control(), reports);
//! let server = tokio::spawn(serve(socket, routes(replication), Access::Socket));
//!
//! let status = Client::socket(&path)?.status().await?;
//! assert_eq!(status.phase.to_string(), "connecting");
//! server.abort();
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok(())
//! # }
//! ```

pub mod client;
pub mod server;
pub mod wire;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
