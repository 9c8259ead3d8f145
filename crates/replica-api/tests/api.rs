//! The API over a real socket and a real port, in front of a run that has not begun.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed expectation must stop the test")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use dfly_replica::{Engine, EngineConfig, Report};
use redis_resp::connection::{Endpoint, Peer};
use replica_api::client::{Client, ClientError};
use replica_api::server::{Access, Replication, SocketFile, Token, document, routes, serve};
use replica_api::wire::{KeyName, Refetch, Side, Status, Watch};
use tokio::net::TcpListener;
use tokio::sync::watch;

struct Running {
    _folder: tempfile::TempDir,
    socket: std::path::PathBuf,
    reports: watch::Sender<Report>,
    replication: Replication,
    // The engine answers nothing, and its requests are not refused.
    _engine: Engine,
}

fn running() -> Running {
    let endpoint = |peer, port| Endpoint::new(peer, "127.0.0.1", port);
    let config = EngineConfig::new(endpoint(Peer::Source, 1), endpoint(Peer::Target, 2));
    let (engine, _reports) = Engine::new(config);
    let (reports, receiver) = watch::channel(Report::default());
    let about = Status {
        version: "1.2.3".to_owned(),
        source: Side { address: "db:6379".to_owned(), ..Side::default() },
        ..Status::default()
    };
    let replication = Replication {
        about: Arc::new(about),
        config: Arc::new(serde_json::json!({"source": "dragonfly://db:6379"})),
        clock: || 77,
        ..Replication::new(engine.control(), receiver)
    };
    let folder = tempfile::tempdir().unwrap();
    let socket = SocketFile::bind(&folder.path().join("control.sock")).unwrap();
    let path = socket.path().to_owned();
    tokio::spawn(serve(socket, routes(replication.clone()), Access::Socket));
    Running { _folder: folder, socket: path, reports, replication, _engine: engine }
}

/// Sends these bytes, and gives what comes back.
fn ask(socket: &std::path::Path, request: &str) -> String {
    let mut socket = UnixStream::connect(socket).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

fn refused(error: ClientError) -> String {
    match error {
        ClientError::Refused(problem) => problem.id,
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_is_doing() {
    let run = running();
    let client = Client::socket(&run.socket).unwrap();
    run.reports.send_replace(Report {
        is_paused: true,
        question: Some("really?".to_owned()),
        ..Report::default()
    });
    let status = client.status().await.unwrap();
    assert_eq!(
        (status.version.as_str(), status.source.address.as_str(), status.now),
        ("1.2.3", "db:6379", 77)
    );
    assert!(status.is_paused && status.question.as_deref() == Some("really?") && status.lag.is_none());
    assert_eq!(client.config().await.unwrap()["source"], "dragonfly://db:6379");
    assert!(client.events().await.unwrap().is_empty() && client.history().await.unwrap().is_empty());
}

/// Every answer to a question has the fields that the document names, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_true() {
    let run = running();
    let client = Client::socket(&run.socket).unwrap();
    let text: serde_json::Value = client.get("openapi.json").await.unwrap();
    assert_eq!(text, serde_json::to_value(document()).unwrap());
    let paths = text["paths"].as_object().unwrap();
    for (path, methods) in paths {
        let path = path.strip_prefix("/api/v1/").unwrap();
        if path == "cutover" {
            let none = client.get::<serde_json::Value>(path).await.unwrap_err();
            assert_eq!(refused(none), "no-cutover");
        } else if methods.get("get").is_some() {
            assert!(client.get::<serde_json::Value>(path).await.is_ok(), "{path}");
        } else {
            let wrong = client.get::<serde_json::Value>(path).await.unwrap_err();
            assert_eq!(refused(wrong), "wrong-method", "{path}");
        }
    }
    let status: serde_json::Value = client.get("status").await.unwrap();
    let named = text["components"]["schemas"]["Status"]["properties"].as_object().unwrap();
    let required = text["components"]["schemas"]["Status"]["required"].as_array().unwrap();
    assert!(status.as_object().unwrap().keys().all(|field| named.contains_key(field)));
    assert!(required.iter().all(|field| status.get(field.as_str().unwrap()).is_some()), "{required:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_told_what_is_wrong() {
    let run = running();
    let client = Client::socket(&run.socket).unwrap();
    let no_name = KeyName { db: 0, key: None, key_base64: None };
    let name = KeyName { db: 0, key: Some("k".to_owned()), key_base64: None };
    let of = |keys: Vec<KeyName>| Watch { keys, holds: false };
    assert_eq!(refused(client.watch(&of(vec![no_name.clone()])).await.unwrap_err()), "bad-key");
    assert_eq!(refused(client.watch(&of(vec![name; 513])).await.unwrap_err()), "too-many-keys");
    assert_eq!(refused(client.repair(&Refetch { keys: vec![no_name] }).await.unwrap_err()), "bad-key");
    let post = async |path: &str, body: serde_json::Value| {
        refused(client.post::<serde_json::Value>(path, &body).await.unwrap_err())
    };
    assert_eq!(post("limits", serde_json::json!({"target_ops": 1})).await, "bad-body");
    assert_eq!(post("limits", serde_json::json!("fast")).await, "bad-body");
    assert_eq!(post("nothing", serde_json::json!({})).await, "no-such-path");
    assert_eq!(post("stop", serde_json::json!({})).await, "no-stop");
    for (head, body, status) in [
        (
            "POST /api/v1/limits HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n",
            "{}",
            "415",
        ),
        (
            "POST /api/v1/limits HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1\r\n",
            "{",
            "400",
        ),
        ("GET /api/v1/status HTTP/9.9\r\n", "", "400"),
    ] {
        let answer = ask(&run.socket, &format!("{head}connection: close\r\n\r\n{body}"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{head} {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_not_read_to_its_end() {
    let run = running();
    let mut socket = UnixStream::connect(&run.socket).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = "POST /api/v1/limits HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9999999\r\n\r\n";
    let mut sender = socket.try_clone().unwrap();
    // The server stops reading: what is left cannot be written.
    std::thread::spawn(move || drop(sender.write_all(&[head.as_bytes(), &[b' '; 9_999_999]].concat())));
    let mut status = [0; 12];
    socket.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_needs_the_token_for_what_changes_the_run() {
    let run = running();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let access = Access::of_address(&listener, Token::new("s3cret"));
    tokio::spawn(serve(listener, routes(run.replication.clone()), access));
    let client = |token: Option<&str>| Client::address(&url, token.map(str::to_owned)).unwrap();
    assert!(client(None).status().await.is_ok(), "reading needs none on this host");
    assert_eq!(refused(client(None).order("stop").await.unwrap_err()), "token-needed");
    assert_eq!(refused(client(Some("guess")).order("stop").await.unwrap_err()), "wrong-token");
    assert_eq!(refused(client(Some("s3cret")).order("stop").await.unwrap_err()), "no-stop", "it got so far");
    assert!(matches!(Client::address("localhost:9", None), Err(ClientError::NotAnAddress(_))));
}

#[tokio::test]
async fn nobody_listens() {
    let folder = tempfile::tempdir().unwrap();
    let gone = folder.path().join("control.sock");
    assert!(matches!(Client::socket(&gone), Err(ClientError::Unreachable { .. })));
    drop(std::os::unix::net::UnixListener::bind(&gone).unwrap());
    let error = Client::socket(&gone).unwrap().status().await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Unreachable { .. }) && error.to_string().contains("no run answers"),
        "{error}"
    );
}

/// What a program of the Go tool asks for is answered in its shapes.
#[tokio::test(flavor = "multi_thread")]
async fn the_go_tools_questions() {
    let run = running();
    for (path, field) in [
        ("/api/sync/summary", "\"stageDetails\""),
        ("/api/sync/progress", "\"flowStats\""),
        ("/api/check/latest", "\"not_run\""),
        ("/api/events", "\"events\""),
    ] {
        let answer =
            ask(&run.socket, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert!(answer.contains(field), "{path}: {answer}");
    }
}

/// A run that is not known well enough is not compared, and a comparison needs words that it knows.
#[tokio::test(flavor = "multi_thread")]
async fn comparisons_are_asked_for_in_known_words() {
    let run = running();
    let client = Client::socket(&run.socket).unwrap();
    let check = async |body: serde_json::Value| {
        refused(client.post::<serde_json::Value>("check", &body).await.unwrap_err())
    };
    assert_eq!(check(serde_json::json!({})).await, "no-check-here");
    assert_eq!(check(serde_json::json!({"depth": "full"})).await, "bad-body");
    assert_eq!(refused(client.checkpoint().await.unwrap_err()), "no-session");
    let checks = client.checks().await.unwrap();
    assert!(checks.running.is_none() && checks.last.is_none());
}
