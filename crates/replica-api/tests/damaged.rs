//! Requests that are damaged in any way are answered, and the server goes on.

#![expect(clippy::unwrap_used, reason = "a failed expectation must stop the test")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use dfly_replica::{Engine, EngineConfig};
use proptest::prelude::*;
use redis_resp::connection::{Endpoint, Peer};
use replica_api::client::Client;
use replica_api::server::{Access, Replication, SocketFile, routes, serve};
use tokio::runtime::Runtime;

/// A server for all cases, in front of a run that has not begun.
struct Server {
    _folder: tempfile::TempDir,
    socket: PathBuf,
    runtime: Runtime,
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let runtime = Runtime::new().unwrap();
    let endpoint = |peer, port| Endpoint::new(peer, "127.0.0.1", port);
    let config = EngineConfig::new(endpoint(Peer::Source, 1), endpoint(Peer::Target, 2));
    let (engine, reports) = Engine::new(config);
    let replication = Replication::new(engine.control(), reports);
    // Nobody answers what is asked of the run: it has ended.
    drop(engine);
    let folder = tempfile::tempdir().unwrap();
    let socket = runtime.block_on(async { SocketFile::bind(&folder.path().join("s")) }).unwrap();
    let path = socket.path().to_owned();
    runtime.spawn(serve(socket, routes(replication), Access::Socket));
    Server { _folder: folder, socket: path, runtime }
});

const PATHS: &[&str] = &[
    "limits",
    "repair",
    "check",
    "verify",
    "checkpoint",
    "cutover",
    "release",
    "accept",
    "step/watch",
    "step/settle",
    "step/release",
];
const BODIES: &[&str] = &[
    "{}",
    r#"{"keys":[{"db":0,"key":"k"},{"key_base64":"/w=="}],"holds":true}"#,
    r#"{"watch":1,"before":[1,2],"behind":[3]}"#,
    r#"{"mode":"full","sample":"1%","keys_per_second":9,"repair":true}"#,
    r#"{"method":"pause","verify":"recent","timeout":1,"patience":2,"dry_run":true}"#,
    r#"{"snapshot_bytes_per_second":1,"target_ops_per_second":18446744073709551616}"#,
];

fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop::sample::select(BODIES).prop_map(|body| body.as_bytes().to_vec());
    (whole, any::<prop::sample::Index>(), 0..6usize, prop::collection::vec(any::<u8>(), 0..6)).prop_map(
        |(mut body, at, length, by)| {
            let at = at.index(body.len());
            let end = (at + length).min(body.len());
            body.splice(at..end, by);
            body
        },
    )
}

/// Sends a request, and gives what comes back.
fn ask(socket: &Path, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // A server that has heard enough closes, and what was sent behind that breaks the connection.
    drop(stream.write_all(request));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

proptest! {
    #[test]
    fn bodies(path in prop::sample::select(PATHS), body in damaged()) {
        let head = format!(
            "POST /api/v1/{path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let answer = ask(&SERVER.socket, &[head.as_bytes(), &body].concat());
        let code = answer.get(9..12).unwrap_or_default();
        prop_assert!(["200", "400", "403", "404", "409", "413", "415", "422", "503"].contains(&code), "{answer}");
    }

    /// Whatever is sent, the next one is answered.
    #[test]
    fn bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(UnixStream::connect(&SERVER.socket).unwrap().write_all(&bytes));
        let client = Client::socket(&SERVER.socket).unwrap();
        prop_assert!(SERVER.runtime.block_on(client.status()).is_ok());
    }
}
