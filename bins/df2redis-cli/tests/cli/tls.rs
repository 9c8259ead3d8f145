//! Source and target with TLS, as flags and as a file.

use std::time::Duration;

use dfly_testkit::{
    Certificates, CompareOptions, MasterOptions, RecordedMaster, Recording, RedisOptions, RedisServer,
    TlsProxy, compare,
};
use rustix::process::Signal;
use tokio::time::timeout;

use crate::binary::{command, spawn, stderr, stop};

const LIMIT: Duration = Duration::from_secs(60);

/// A recorded master and a Redis, both of which ask for a client's certificate of their own authority.
struct Servers {
    master: RecordedMaster,
    proxy: TlsProxy,
    redis: RedisServer,
    of_source: Certificates,
    of_target: Certificates,
}

impl Servers {
    async fn start() -> Self {
        let recording = Recording::bundled("requirepass").unwrap();
        let master = RecordedMaster::start(recording, MasterOptions::default()).await.unwrap();
        let of_source = Certificates::for_loopback().unwrap();
        let of_target = Certificates::new(&["db.example"]).unwrap();
        let proxy = TlsProxy::start(&of_source.server(true), master.address()).await.unwrap();
        let tls = Some(of_target.server(true));
        let requirepass = Some("p@ss".to_owned());
        let redis = RedisServer::start(RedisOptions { tls, requirepass, ..RedisOptions::default() }).unwrap();
        Self { master, proxy, redis, of_source, of_target }
    }

    /// Every setting of TLS that it takes, but for the authorities.
    fn settings(&self) -> Vec<(&'static str, String)> {
        let path = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
        vec![
            ("source", format!("dragonflys://:s3cret@{}", self.proxy.address())),
            ("target", format!("rediss://:p%40ss@{}", self.redis.tls_address().unwrap())),
            ("on-unsupported", "warn".to_owned()),
            ("source-tls-cert", path(self.of_source.client_cert())),
            ("source-tls-key", path(self.of_source.client_key())),
            ("target-tls-cert", path(self.of_target.client_cert())),
            ("target-tls-key", path(self.of_target.client_key())),
            ("target-tls-server-name", "db.example".to_owned()),
        ]
    }

    fn authorities(&self) -> [(&'static str, String); 2] {
        [("source-tls-ca", &self.of_source), ("target-tls-ca", &self.of_target)]
            .map(|(name, certificates)| (name, certificates.ca().to_str().unwrap().to_owned()))
    }

    /// To the end of the recording; gives the log.
    async fn runs(&self, args: &[String]) -> String {
        let args: Vec<&str> = ["replicate"].into_iter().chain(args.iter().map(String::as_str)).collect();
        let child = spawn(&args);
        assert!(timeout(LIMIT, self.master.finished()).await.is_ok(), "{:?}", self.master.violations());
        let (status, log) = stop(child, Signal::INT);
        assert_eq!(status.code(), Some(0), "{log}");
        let options =
            CompareOptions { reserved_prefix: Some("df2redis:".into()), ..CompareOptions::default() };
        let mut client = self.redis.client().unwrap();
        let comparison = compare(&mut client, self.master.recording().expected(), &options).unwrap();
        assert!(comparison.is_equal(), "{:#?}", comparison.differences);
        assert_eq!(self.master.violations(), [""; 0]);
        log
    }

    /// Until it ends by itself: the exit code and the last line.
    async fn ends(&self, args: Vec<String>) -> (Option<i32>, String) {
        let args: Vec<&str> = ["replicate"].into_iter().chain(args.iter().map(String::as_str)).collect();
        let mut command = command(&args);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        (output.status.code(), stderr(&output).lines().last().unwrap().to_owned())
    }
}

fn flags(settings: impl IntoIterator<Item = (&'static str, String)>) -> Vec<String> {
    settings.into_iter().flat_map(|(name, value)| [format!("--{name}"), value]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_verified_by_flags() {
    let servers = Servers::start().await;
    let log = servers.runs(&flags(servers.settings().into_iter().chain(servers.authorities()))).await;
    assert!(!log.contains("not verified") && !log.contains("s3cret"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_verified_by_file() {
    let servers = Servers::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("df2redis.toml");
    let settings = servers.settings().into_iter().chain(servers.authorities());
    let text: String = settings.map(|(name, value)| format!("{name} = '{value}'\n")).collect();
    std::fs::write(&file, text).unwrap();
    servers.runs(&["--config".to_owned(), file.to_str().unwrap().to_owned()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_verified_is_said_once() {
    let servers = Servers::start().await;
    let switches = ["--source-tls-insecure", "--target-tls-insecure"].map(str::to_owned);
    let log = servers.runs(&[&flags(servers.settings())[..], &switches].concat()).await;
    for side in ["source", "target"] {
        assert_eq!(log.matches(&format!("the {side}'s certificate is not verified")).count(), 1, "{log}");
    }
}

/// Each side with the other's authority.
#[tokio::test(flavor = "multi_thread")]
async fn authorities_that_did_not_sign() {
    let servers = Servers::start().await;
    let [(of_source, source), (of_target, target)] = servers.authorities();
    let settings =
        |authorities: [(&'static str, String); 2]| flags(servers.settings().into_iter().chain(authorities));
    let (code, line) = servers.ends(settings([(of_source, target.clone()), (of_target, target)])).await;
    let address = servers.proxy.address();
    let start = format!("error: cannot connect to the source at {address}: the TLS handshake failed: ");
    assert!(code == Some(1) && line.starts_with(&start) && line.contains("UnknownIssuer"), "{line}");
    assert!(
        line.ends_with("; --source-tls-ca names the file with the authority's certificate [DF0101]"),
        "{line}"
    );
    let (code, line) = servers.ends(settings([(of_source, source.clone()), (of_target, source)])).await;
    let address = servers.redis.tls_address().unwrap();
    let start = format!("error: cannot connect to the target at {address}: the TLS handshake failed: ");
    assert!(code == Some(5) && line.starts_with(&start) && line.contains("UnknownIssuer"), "{line}");
}

/// A server that asks for a certificate refuses whoever has none, and says so only behind the handshake.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_shown() {
    let servers = Servers::start().await;
    for (side, code) in [("source", 1), ("target", 5)] {
        let hidden = [format!("{side}-tls-cert"), format!("{side}-tls-key")];
        let settings =
            servers.settings().into_iter().filter(|(name, _)| !hidden.contains(&(*name).to_owned()));
        let (found, line) = servers.ends(flags(settings.chain(servers.authorities()))).await;
        let start = format!("error: cannot connect to the {side} at ");
        assert!(found == Some(code) && line.starts_with(&start), "{found:?} {line}");
        assert!(line.contains("the TLS handshake failed: ") && line.contains("ertificate"), "{line}");
    }
}

/// C38: an address in the clear that leads to a port with TLS, on each side.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_without_tls_for_a_port_with_it() {
    let servers = Servers::start().await;
    let (of_source, of_target) = (servers.proxy.address(), servers.redis.tls_address().unwrap());
    for (source, target, code, remedy) in [
        (of_source, servers.redis.address(), 1, "write dragonflys:// in the source's address [DF0101]"),
        (servers.master.address(), of_target, 5, "write rediss:// in the target's address [DF0201]"),
    ] {
        let source = format!("dragonfly://:s3cret@{source}");
        let settings = [("source", source), ("target", format!("redis://:p%40ss@{target}"))];
        let (found, line) = servers.ends(flags(settings)).await;
        let end = format!(": this port speaks TLS; {remedy}");
        assert!(found == Some(code) && line.ends_with(&end), "{found:?} {line}");
    }
}
