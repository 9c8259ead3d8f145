//! The memcached port of the live master.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

/// A port of this host that a master listens on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memcached(u16);

impl Memcached {
    /// A port that is free now.
    pub(crate) fn free() -> Self {
        Self(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port())
    }

    /// The master's flag.
    pub(crate) fn flag(self) -> String {
        format!("--memcached_port={}", self.0)
    }

    /// Sends a request without its last line end, and waits until it is answered.
    pub(crate) fn ask(self, request: &[u8]) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.0)).unwrap();
        stream.write_all(request).unwrap();
        stream.write_all(b"\r\nversion\r\n").unwrap();
        let (mut answer, mut part) = (Vec::new(), [0; 4096]);
        while !answer.windows(7).any(|window| window == b"VERSION") {
            let read = stream.read(&mut part).unwrap();
            assert_ne!(read, 0, "the memcached port has closed");
            answer.extend_from_slice(&part[..read]);
        }
    }
}
