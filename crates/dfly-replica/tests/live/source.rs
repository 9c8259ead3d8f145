//! The live master.

use std::ffi::OsString;
use std::io::{Write, stderr};
use std::time::Duration;

use dfly_testkit::{RedisClient, RedisOptions, RedisServer};
use redis_resp::connection::{Endpoint, Peer};

/// The binary to test with; says so when there is none, past the test runner's capture.
pub(crate) fn binary(test: &str) -> Option<OsString> {
    let binary = std::env::var_os("DF2REDIS_DRAGONFLY");
    if binary.is_none() {
        let line = format!("skipped: {test} needs DF2REDIS_DRAGONFLY=/path/to/dragonfly\n");
        stderr().write_all(line.as_bytes()).unwrap();
    }
    binary
}

pub(crate) fn start(binary: &OsString, flags: &[&str]) -> RedisServer {
    RedisServer::start(RedisOptions::dragonfly(binary, flags)).unwrap()
}

/// The position that each flow reaches when nothing more is written.
pub(crate) fn offsets(client: &mut RedisClient) -> Vec<u64> {
    let reply = client.expect(&[b"DFLY", b"REPLICAOFFSET"]).unwrap();
    reply.array().unwrap().iter().map(|lsn| u64::try_from(lsn.int().unwrap()).unwrap()).collect()
}

pub(crate) fn endpoint(peer: Peer, server: &RedisServer) -> Endpoint {
    Endpoint {
        connect_timeout: Duration::from_secs(5),
        ..Endpoint::new(peer, "127.0.0.1", server.address().port())
    }
}
