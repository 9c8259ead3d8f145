//! The proxy that cuts connections.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed expectation must stop the test"
)]

use std::net::SocketAddr;

use dfly_testkit::{CutAt, CutProxy, Towards};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const ASKED: &[u8] = b"0123456789";
const ANSWERED: &[u8] = b"abcdefghijklmnopqrst";

/// Serves one connection: answers when it has read everything, and gives what it has read.
async fn server() -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut seen = vec![0; ASKED.len()];
        let mut length = 0;
        while length < ASKED.len() {
            match socket.read(&mut seen[length..]).await.unwrap() {
                0 => break,
                read => length += read,
            }
        }
        seen.truncate(length);
        if seen == ASKED {
            socket.write_all(ANSWERED).await.unwrap();
            socket.shutdown().await.unwrap();
        }
        seen
    });
    (address, served)
}

async fn ask(at: SocketAddr) -> Vec<u8> {
    let mut socket = TcpStream::connect(at).await.unwrap();
    socket.write_all(ASKED).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn exactly_so_many_bytes_arrive() {
    for towards in [Towards::Server, Towards::Client] {
        let whole = if towards == Towards::Server { ASKED } else { ANSWERED };
        for bytes in 0..whole.len() {
            let (address, served) = server().await;
            let cut = CutAt { connection: 0, towards, bytes: bytes as u64 };
            let proxy = CutProxy::start(address, Some(cut)).await.unwrap();
            let answer = ask(proxy.address()).await;
            let seen = served.await.unwrap();
            match towards {
                Towards::Server => assert_eq!((&seen[..], &answer[..]), (&ASKED[..bytes], &b""[..])),
                Towards::Client => assert_eq!(answer, &ANSWERED[..bytes]),
            }
            assert_eq!(proxy.traffic()[0].towards(towards), bytes as u64);
        }
    }
}

#[tokio::test]
async fn other_connections_are_whole() {
    let (address, _served) = server().await;
    let proxy = CutProxy::start(address, Some(CutAt { connection: 1, towards: Towards::Client, bytes: 0 }));
    let proxy = proxy.await.unwrap();
    assert_eq!(ask(proxy.address()).await, ANSWERED);
    let traffic = proxy.traffic();
    assert_eq!((traffic[0].to_server, traffic[0].to_client, traffic.len()), (10, 20, 1));
}
