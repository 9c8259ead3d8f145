//! A real run of the real binary that serves its page, and what reads it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use dfly_testkit::{MasterOptions, Op, RedisOptions, RedisServer, Script, ScriptedMaster};
use replica_api::client::Client;
use replica_api::wire::Status;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::binary::{signal, spawn_quiet};

/// How long anything may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A port of this host that is free.
pub(crate) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// What is answered: the status code, the headers and the body; `None` if nobody listens.
pub(crate) fn get(address: &str, path: &str) -> Option<(u16, String, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let code = head.split(' ').nth(1)?.parse().ok()?;
    Some((code, head.to_owned(), body.to_owned()))
}

/// Waits until something is there.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A run between a scripted master and a real Redis.
pub(crate) struct PageRun {
    pub address: String,
    pub master: ScriptedMaster,
    pub redis: RedisServer,
    pub child: Child,
    folder: TempDir,
}

impl PageRun {
    /// With so many users in the source, and these flags.
    pub(crate) async fn start(users: u32, flags: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), users, flags).await
    }

    pub(crate) async fn start_in(folder: TempDir, users: u32, flags: &[&str]) -> Self {
        let script = (0..users).fold(Script::new(2), |script, user| {
            script.before(Op::line(&format!("HSET user:{user} name user-{user} visits 0")))
        });
        let master = ScriptedMaster::start(script, MasterOptions::default()).await.unwrap();
        let redis = RedisServer::start(RedisOptions::default()).unwrap();
        let (source, address) = (format!("dragonfly://{}", master.address()), free_address());
        let state = folder.path().display().to_string();
        let args = ["replicate", "--source", &source, "--target", &redis.url(), "--state-dir", &state];
        let child = spawn_quiet(&[&args[..], &["--dashboard-addr", &address], flags].concat());
        until("the page", || TcpStream::connect(&address).ok());
        Self { address, master, redis, child, folder }
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// A client over the socket in the state directory.
    pub(crate) fn client(&self) -> Client {
        Client::socket(&self.state_dir().join("control.sock")).unwrap()
    }

    /// Waits for a status.
    pub(crate) async fn until_status(&self, what: &str, is_so: impl Fn(&Status) -> bool) -> Status {
        let (client, end) = (self.client(), Instant::now() + LIMIT);
        loop {
            let status = client.status().await.unwrap();
            if is_so(&status) {
                return status;
            }
            assert!(Instant::now() < end, "{what} does not come: {status:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn until_in_sync(&self) -> Status {
        self.until_status("the end of the lag", |status| {
            status.in_sync && status.lag.is_some_and(|lag| lag.records == 0)
        })
        .await
    }

    /// Stops the run as a person does, and leaves its state directory.
    pub(crate) fn stop(mut self) -> TempDir {
        signal(&self.child, Signal::TERM);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }
}

impl Drop for PageRun {
    fn drop(&mut self) {
        drop(self.redis.resume());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
