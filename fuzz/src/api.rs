//! Requests to the API of a run.

use std::future::pending;
use std::io;
use std::time::Duration;

use axum::serve::Listener;
use dfly_replica::{Engine, EngineConfig};
use redis_resp::connection::{Endpoint, Peer};
use replica_api::server::{Access, Replication, Token, routes, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::Builder;
use tokio::time::timeout;

/// What allows to change the run. Nobody is told.
const TOKEN: &str = "t0ken-that-is-never-shown";

/// What one side may have sent that the other has not read.
const IN_FLIGHT: usize = 1 << 20;

/// The longest that an answer may take, in the time of the runtime, which passes at once when nobody has anything to do.
const LIMIT: Duration = Duration::from_secs(20);

const STATUS: &[u8] = b"GET /api/v1/status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// Bytes of a client: answers are answers, the token is in none, and whoever asks next is answered too.
pub fn api_request(data: &[u8]) {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build();
    let runtime = runtime.expect("a runtime needs no more than memory");
    runtime.block_on(async {
        for access in [Access::Socket, Access::Address { token: Token::new(TOKEN), is_loopback: true }] {
            let (answer, next) = answers(access, data).await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1."), "{answer:?}");
            let may_know = data.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes());
            assert!(may_know || !answer.contains(TOKEN), "{answer:?}");
            assert!(next.starts_with("HTTP/1.1 200"), "{next:?}");
        }
    });
}

/// What comes back for these bytes, and behind them for a question of somebody else.
async fn answers(access: Access, data: &[u8]) -> (String, String) {
    let endpoint = |peer, port| Endpoint::new(peer, "127.0.0.1", port);
    let config = EngineConfig::new(endpoint(Peer::Source, 1), endpoint(Peer::Target, 2));
    let (engine, reports) = Engine::new(config);
    let replication = Replication::new(engine.control(), reports);
    // Nobody answers what is asked of the run: it has ended.
    drop(engine);
    let ((first, sent), (second, asked)) = (duplex(IN_FLIGHT), duplex(IN_FLIGHT));
    let server = serve(Clients(vec![second, first]), routes(replication), access);
    let clients = async {
        let answer = exchange(sent, data).await;
        (answer, exchange(asked, STATUS).await)
    };
    tokio::select! {
        told = clients => told,
        ended = server => panic!("the server has ended: {ended:?}"),
    }
}

/// Sends a request and reads what comes back. A server that waits for more hears that there is none.
async fn exchange(mut client: DuplexStream, request: &[u8]) -> String {
    let mut answer = Vec::new();
    // A server that has heard enough closes.
    drop(client.write_all(request).await);
    if timeout(LIMIT, client.read_to_end(&mut answer)).await.is_err() {
        drop(client.shutdown().await);
        let closed = timeout(LIMIT, client.read_to_end(&mut answer)).await;
        assert!(closed.is_ok(), "a client that has gone is let go");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Clients that are there already: the last comes first.
struct Clients(Vec<DuplexStream>);

impl Listener for Clients {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.pop() {
            Some(client) => (client, ()),
            None => pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}
