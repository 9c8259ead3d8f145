//! A replica that only moves bytes: what it must send and when is the test's business.

use std::net::SocketAddr;
use std::time::Duration;

use dfly_testkit::{Walk, walk};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// No answer of a local master takes longer; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Wire {
    socket: TcpStream,
}

impl Wire {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { socket: TcpStream::connect(address).await.unwrap() }
    }

    async fn authenticated(address: SocketAddr, auth: Option<&str>) -> Self {
        let mut wire = Self::connect(address).await;
        if let Some(auth) = auth {
            assert_eq!(wire.ask(auth).await, "+OK");
        }
        wire
    }

    pub(crate) async fn send(&mut self, line: &str) {
        self.socket.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
    }

    /// One line of a reply, without its end.
    pub(crate) async fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let byte = timeout(PATIENCE, self.socket.read_u8()).await.expect("no reply came");
            line.push(byte.expect("the master closed"));
        }
        String::from_utf8(line).unwrap().trim_end().to_owned()
    }

    pub(crate) async fn ask(&mut self, line: &str) -> String {
        self.send(line).await;
        self.line().await
    }

    /// The elements of an array of simple strings and integers.
    pub(crate) async fn ask_array(&mut self, line: &str) -> Vec<String> {
        let head = self.ask(line).await;
        let count: usize = head.strip_prefix('*').unwrap_or_else(|| panic!("{head}")).parse().unwrap();
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(self.line().await[1..].to_owned());
        }
        elements
    }

    /// Exactly `n` bytes.
    pub(crate) async fn read(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        timeout(PATIENCE, self.socket.read_exact(&mut bytes)).await.expect("no bytes came").unwrap();
        bytes
    }

    /// Everything up to and with `end`.
    pub(crate) async fn read_until(&mut self, end: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end) {
            bytes.push(timeout(PATIENCE, self.socket.read_u8()).await.expect("no bytes came").unwrap());
        }
        bytes
    }

    /// The journal, read on until its next LSN is `next`.
    pub(crate) async fn read_journal(&mut self, start: u64, next: u64) -> Walk {
        let mut bytes = Vec::new();
        loop {
            let walked = walk(&bytes, start).unwrap();
            // An LSN record may follow the last counting one; reading stops behind whole records only.
            if walked.final_lsn(start) >= next && walked.leftover == 0 {
                assert_eq!(walked.final_lsn(start), next);
                return walked;
            }
            timeout(PATIENCE, self.socket.read_buf(&mut bytes)).await.expect("no journal came").unwrap();
        }
    }

    /// Everything until the master closes.
    pub(crate) async fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        timeout(PATIENCE, self.socket.read_to_end(&mut bytes))
            .await
            .expect("the master did not close")
            .unwrap();
        bytes
    }

    /// Whether there is nothing to read now. A master that is about to write may win the race, so this can only
    /// make a test fail that should.
    pub(crate) fn is_silent(&self) -> bool {
        let mut byte = [0];
        matches!(self.socket.try_read(&mut byte), Err(e) if e.kind() == std::io::ErrorKind::WouldBlock)
    }
}

/// A session up to the replies to FLOW.
pub(crate) struct Session {
    pub(crate) control: Wire,
    pub(crate) sync_id: String,
    pub(crate) repl_id: String,
    pub(crate) flows: Vec<Wire>,
    /// `FULL` or `PARTIAL`, and the token.
    pub(crate) granted: Vec<(String, String)>,
}

impl Session {
    /// `lsns`: what to ask each flow for, if anything. `auth`: an AUTH line.
    pub(crate) async fn begin(address: SocketAddr, lsns: &[u64], auth: Option<&str>) -> Self {
        let mut control = Wire::authenticated(address, auth).await;
        for (ask, reply) in [
            ("PING", "+PONG"),
            ("REPLCONF listening-port 6379", "+OK"),
            ("REPLCONF capa eof capa psync2", "+OK"),
        ] {
            assert_eq!(control.ask(ask).await, reply);
        }
        let capa = control.ask_array("REPLCONF capa dragonfly").await;
        assert_eq!(capa.len(), 5);
        assert_eq!(control.ask("REPLCONF CLIENT-VERSION 4").await, "+OK");
        let [repl_id, sync_id, count, ..] = &capa[..] else { unreachable!("five elements") };
        let (mut flows, mut granted) = (Vec::new(), Vec::new());
        for flow in 0..count.parse().unwrap() {
            let mut wire = Wire::authenticated(address, auth).await;
            let lsn: String = lsns.get(flow).map(|lsn| format!(" {lsn}")).unwrap_or_default();
            let reply = wire.ask_array(&format!("DFLY FLOW {repl_id} {sync_id} {flow}{lsn}")).await;
            granted.push((reply[0].clone(), reply[1].clone()));
            flows.push(wire);
        }
        Self { control, sync_id: sync_id.clone(), repl_id: repl_id.clone(), flows, granted }
    }

    pub(crate) async fn sync(&mut self) -> String {
        let line = format!("DFLY SYNC {}", self.sync_id);
        self.control.ask(&line).await
    }

    pub(crate) async fn start_stable(&mut self) -> String {
        let line = format!("DFLY STARTSTABLE {}", self.sync_id);
        self.control.ask(&line).await
    }

    /// Reads the next `sizes[i]` bytes of every flow at the same time.
    pub(crate) async fn read_flows(&mut self, sizes: &[usize]) -> Vec<Vec<u8>> {
        let mut readers = Vec::new();
        for (mut wire, size) in std::mem::take(&mut self.flows).into_iter().zip(sizes.iter().copied()) {
            readers.push(tokio::spawn(async move {
                let bytes = wire.read(size).await;
                (wire, bytes)
            }));
        }
        let mut all = Vec::new();
        for reader in readers {
            let (wire, bytes) = reader.await.unwrap();
            self.flows.push(wire);
            all.push(bytes);
        }
        all
    }

    /// SYNC, the first parts, STARTSTABLE, the second parts; the sizes are the recording's.
    pub(crate) async fn run_full(&mut self, firsts: &[usize], seconds: &[usize]) -> Vec<Vec<u8>> {
        assert_eq!(self.sync().await, "+OK");
        let mut streams = self.read_flows(firsts).await;
        self.send_start_stable().await;
        for (stream, second) in streams.iter_mut().zip(self.read_flows(seconds).await) {
            stream.extend(second);
        }
        assert_eq!(self.control.line().await, "+OK");
        streams
    }

    pub(crate) async fn send_start_stable(&mut self) {
        let line = format!("DFLY STARTSTABLE {}", self.sync_id);
        self.control.send(&line).await;
    }

    pub(crate) async fn ack(&mut self, flow: usize, lsn: u64) {
        self.flows[flow].send(&format!("REPLCONF ACK {lsn}")).await;
    }
}
