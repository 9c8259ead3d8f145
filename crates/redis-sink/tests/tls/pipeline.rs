use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use dfly_testkit::{Certificates, RedisOptions, RedisServer};
use redis_resp::CommandBatch;
use redis_resp::connection::{Connection, Endpoint, Peer};
use redis_sink::{Pipeline, WindowLimits};
use tokio::task::coop::unconstrained;
use tokio::time::timeout;

use crate::{LONG, endpoint};

const BATCHES: u64 = 400;

/// 16 commands, the values of 0 bytes to 60 KiB and twice 1 MiB in all; every fourth batch reads what was written too.
fn batch(number: u64) -> CommandBatch {
    let mut batch = CommandBatch::default();
    let size = if number % 199 == 7 { 1 << 20 } else { usize::try_from(number * 7919 % 61_440).unwrap() };
    let value = vec![b'a' + u8::try_from(number % 26).unwrap(); size];
    batch.push(&[b"SET", format!("big:{number}").as_bytes(), &value]);
    for i in 0..14 {
        batch.push(&[b"INCR", format!("count:{i}").as_bytes()]);
    }
    batch.push(&[
        if number.is_multiple_of(4) { b"GET" } else { b"STRLEN" },
        format!("big:{number}").as_bytes(),
    ]);
    batch
}

fn server(certificates: &Certificates) -> (RedisServer, std::net::SocketAddr) {
    let tls = Some(certificates.server(true));
    let redis = RedisServer::start(RedisOptions { tls, ..RedisOptions::default() }).unwrap();
    let address = redis.tls_address().unwrap();
    (redis, address)
}

#[tokio::test]
async fn megabytes_and_every_reply_paired() {
    let certificates = Certificates::for_loopback().unwrap();
    let (redis, address) = server(&certificates);
    let connection = Connection::open(&endpoint(address, &certificates)).await.unwrap();
    assert!(connection.is_tls());
    carry_megabytes(connection).await;
    assert_holds_all(&redis);
}

#[tokio::test]
async fn the_same_in_the_clear() {
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let at = redis.address();
    let endpoint = Endpoint::new(Peer::Target, at.ip().to_string(), at.port());
    carry_megabytes(Connection::open(&endpoint).await.unwrap()).await;
    assert_holds_all(&redis);
}

/// What is waited for is given up at odd moments, as it is by whoever has something else to wait for too, and the pipeline
/// rests in between.
async fn carry_megabytes(connection: Connection) {
    let mut pipeline = Pipeline::new(connection, WindowLimits { commands: 2000, bytes: 4 << 20 });
    let (mut next, mut settled, mut rested) = (0, 0, 0);
    while settled < BATCHES {
        while next < BATCHES && pipeline.has_room() {
            pipeline.submit(&mut batch(next), next);
            next += 1;
        }
        let patience = if next % 3 == 0 { Duration::from_micros(50) } else { LONG };
        match timeout(patience, pipeline.progress()).await {
            Ok(moved) => moved.unwrap(),
            Err(elapsed) => assert!(patience < LONG, "{elapsed}"),
        }
        rested += usize::from(pipeline.rest());
        while let Some(tag) = pipeline.settled() {
            assert_eq!(tag, settled);
            settled += 1;
        }
    }
    assert!(pipeline.is_idle() && pipeline.take_refusals().is_empty());
    assert!(rested > 10, "{rested}");
}

fn assert_holds_all(redis: &RedisServer) {
    let mut client = redis.client().unwrap();
    for i in 0..14 {
        let count = client.expect(&[b"GET", format!("count:{i}").as_bytes()]).unwrap().text();
        assert_eq!(count, Some(BATCHES.to_string()));
    }
    for number in 0..BATCHES {
        let wire = batch(number);
        let value = client.expect(&[b"GET", format!("big:{number}").as_bytes()]).unwrap().bytes().unwrap();
        let text = wire.command(0).unwrap().wire();
        assert!(text.ends_with(&[&value[..], b"\r\n"].concat()), "{number}");
    }
}

/// A server that stands still takes megabytes into TLS and the socket, and answers all of them when it goes on; what TLS
/// holds back is written without another batch.
#[tokio::test]
async fn a_server_that_stands_still() {
    let certificates = Certificates::for_loopback().unwrap();
    let (redis, address) = server(&certificates);
    let connection = Connection::open(&endpoint(address, &certificates)).await.unwrap();
    let mut pipeline = Pipeline::new(connection, WindowLimits { commands: 100_000, bytes: 64 << 20 });
    redis.pause().unwrap();
    let mut written = CommandBatch::default();
    for number in 0..24 {
        written.push(&[b"SET", format!("k{number}").as_bytes(), &vec![b'v'; 1 << 20]]);
    }
    pipeline.submit(&mut written, ());
    while has_moved(&mut pipeline).await {}
    assert_eq!(pipeline.settled(), None);
    redis.resume().unwrap();
    while pipeline.settled().is_none() {
        timeout(LONG, pipeline.progress()).await.unwrap().unwrap();
    }
    let mut client = redis.client().unwrap();
    assert_eq!(client.expect(&[b"DBSIZE"]).unwrap().int(), Some(24));
}

/// Whether it can go on at once.
async fn has_moved<T>(pipeline: &mut Pipeline<T>) -> bool {
    let once = poll_fn(|context| Poll::Ready(pin!(pipeline.progress()).poll(context)));
    matches!(unconstrained(once).await, Poll::Ready(Ok(())))
}

/// A connection that breaks is told, whatever it was in the middle of.
#[tokio::test]
async fn a_server_that_is_killed() {
    let certificates = Certificates::for_loopback().unwrap();
    let (mut redis, address) = server(&certificates);
    let connection = Connection::open(&endpoint(address, &certificates)).await.unwrap();
    let mut pipeline = Pipeline::new(connection, WindowLimits::default());
    pipeline.submit(&mut batch(7), 7);
    redis.kill().unwrap();
    let broken = timeout(LONG, async {
        loop {
            if let Err(error) = pipeline.progress().await {
                return error.to_string();
            }
        }
    });
    let error = broken.await.unwrap();
    assert!(error.starts_with("the connection to the target broke: "), "{error}");
}
