//! Replies that are longer than whoever asks can take.

use std::net::Ipv4Addr;

use redis_resp::connection::{Connection, ConnectionError, Endpoint, Peer};
use redis_resp::{Reply, ReplyError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that answers whatever arrives with these bytes, and leaves the connection open.
async fn server(answer: &'static [u8]) -> Endpoint {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
            stream.write_all(answer).await.unwrap();
        }
    });
    Endpoint::new(Peer::Target, Ipv4Addr::LOCALHOST.to_string(), port)
}

/// Only the start of each long reply ever arrives: whoever waited for the rest would wait for ever.
#[tokio::test]
async fn it_is_given_up_as_soon_as_its_length_is_known() {
    for (answer, most, fits) in [
        (&b"$5\r\nhello\r\n"[..], 11, true),
        (b"$5\r\nhello", 10, false),
        (b"$100000000\r\nabc", 1 << 20, false),
        (b"*2\r\n$3\r\nabc\r\n$-1\r\n", 18, true),
        (b"*2\r\n$3\r\nabc\r\n$100000\r\n", 1 << 10, false),
    ] {
        let endpoint = server(answer).await;
        let mut connection = Connection::open(&endpoint).await.unwrap();
        let told = connection.ask_for(&["MGET", "a", "b"], most).await;
        match told {
            Ok(Reply::Bulk(_) | Reply::Array(_)) => assert!(fits, "{answer:?}"),
            Err(ConnectionError::Reply { error: ReplyError::TooLong(told), .. }) => {
                assert!(!fits && told == most, "{answer:?}");
            }
            other => unreachable!("{other:?}"),
        }
    }
}
