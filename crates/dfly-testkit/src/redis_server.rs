//! A real server for tests, a Redis or a Dragonfly. It listens on a free port of 127.0.0.1, writes only to a temporary
//! folder, and ends with its owner.

use std::ffi::OsString;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;
use thiserror::Error;

use crate::redis_client::{RedisClient, RedisError, Reply};

/// The server's log, in its folder.
const LOG: &str = "server.log";

/// A Sentinel's configuration, in its folder.
const SENTINEL_FILE: &str = "sentinel.conf";

/// How many times a starting server is checked before it counts as failed, and the pause between checks. Together, 10
/// seconds at most.
const STARTUP_TRIES: u32 = 1000;
const STARTUP_WAIT: Duration = Duration::from_millis(10);

/// How many ports are tried, because another program may take a free port first.
const PORT_TRIES: u32 = 5;

/// Which flags a server understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flavor {
    /// Redis and Valkey.
    #[default]
    Redis,
    /// Redis's Sentinel. Arguments are lines of its configuration file.
    Sentinel,
    /// Dragonfly.
    Dragonfly,
}

/// A TLS port, in addition to the plain one. Files are PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// The certificate that the server presents.
    pub cert: PathBuf,
    /// The key of `cert`.
    pub key: PathBuf,
    /// The authority whose certificates the server trusts.
    pub ca: PathBuf,
    /// Whether clients must present a certificate.
    pub asks_clients: bool,
}

/// How a server is started.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// Which flags it understands.
    pub flavor: Flavor,
    /// The program: a path, or a name that is looked up in `PATH`.
    pub program: OsString,
    /// The password of the default user.
    pub requirepass: Option<String>,
    /// Whether the server writes an append-only file (in its temporary folder).
    pub append_only: bool,
    /// Whether the `DEBUG` command is allowed (Redis 7.0 and later).
    pub debug_command: bool,
    /// The TLS port (Redis and Sentinel).
    pub tls: Option<ServerTls>,
    /// Further arguments, such as `["--maxmemory", "10mb"]`.
    pub args: Vec<String>,
}

impl RedisOptions {
    /// A Dragonfly with further flags, such as `["--proactor_threads=2"]`.
    pub fn dragonfly(program: impl Into<OsString>, flags: &[&str]) -> Self {
        let args = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self { flavor: Flavor::Dragonfly, program: program.into(), args, ..Self::default() }
    }
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            flavor: Flavor::Redis,
            program: "redis-server".into(),
            requirepass: None,
            append_only: false,
            debug_command: false,
            tls: None,
            args: Vec::new(),
        }
    }
}

/// Why there is no server.
#[derive(Debug, Error)]
pub enum RedisServerError {
    /// The program cannot be run.
    #[error("cannot run {program}")]
    Run {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It ended immediately, or never answered PING.
    #[error("{program} did not come up; its last output: {output}")]
    NotUp {
        /// The program.
        program: String,
        /// The end of its log.
        output: String,
    },
    /// Its folder, port or process cannot be prepared.
    #[error("cannot prepare the server's folder, port or process")]
    Place(#[source] io::Error),
    /// A signal could not be sent.
    #[error("cannot signal the server")]
    Signal(#[source] io::Error),
}

/// A running server. It is killed, by its process id, when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    options: RedisOptions,
    ports: Ports,
    dir: TempDir,
    child: Child,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    plain: u16,
    tls: Option<u16>,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// The program is missing, or does not come up.
    pub fn start(options: RedisOptions) -> Result<Self, RedisServerError> {
        let dir = tempfile::tempdir().map_err(RedisServerError::Place)?;
        let mut tries = 0;
        loop {
            tries += 1;
            let ports = free_ports(&options).map_err(RedisServerError::Place)?;
            match launch(&options, ports, dir.path()) {
                Ok(child) => return Ok(Self { options, ports, dir, child }),
                Err(RedisServerError::NotUp { .. })
                    if tries < PORT_TRIES && log_of(dir.path()).contains("in use") => {}
                Err(failed) => return Err(failed),
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports.plain))
    }

    /// Where it listens with TLS, if it does.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.ports.tls.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// `redis://127.0.0.1:port`, with the password if there is one.
    pub fn url(&self) -> String {
        match &self.options.requirepass {
            Some(password) => format!("redis://:{password}@127.0.0.1:{}", self.ports.plain),
            None => format!("redis://127.0.0.1:{}", self.ports.plain),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its working folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A new connection, authenticated if there is a password.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn client(&self) -> Result<RedisClient, RedisError> {
        connect(&self.options, self.ports.plain)
    }

    /// Stops the process (`SIGSTOP`): connections stay open, but nothing is answered. The process has stopped when this
    /// returns.
    ///
    /// # Errors
    /// The process is gone.
    pub fn pause(&self) -> Result<(), RedisServerError> {
        self.signal(Signal::STOP)?;
        let (id, how) =
            (WaitId::Pid(Pid::from_child(&self.child)), WaitIdOptions::STOPPED | WaitIdOptions::EXITED);
        let stopped = waitid(id, how | WaitIdOptions::NOWAIT);
        stopped.map(|_status| ()).map_err(|e| RedisServerError::Signal(e.into()))
    }

    /// Continues a paused server (`SIGCONT`).
    ///
    /// # Errors
    /// The process is gone.
    pub fn resume(&self) -> Result<(), RedisServerError> {
        self.signal(Signal::CONT)
    }

    /// Kills the server (`SIGKILL`) and waits until its process has ended. Data that it has not written to disk is lost.
    ///
    /// # Errors
    /// The process cannot be waited for.
    pub fn kill(&mut self) -> Result<(), RedisServerError> {
        // A process that has already ended cannot be killed, so an error does not matter.
        let _already_gone = self.child.kill().is_err();
        self.child.wait().map(|_status| ()).map_err(RedisServerError::Signal)
    }

    /// Starts the server again on the same port, in the same folder.
    ///
    /// # Errors
    /// As [`RedisServer::start`].
    pub fn restart(&mut self) -> Result<(), RedisServerError> {
        self.kill()?;
        self.child = launch(&self.options, self.ports, self.dir.path())?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<(), RedisServerError> {
        kill_process(Pid::from_child(&self.child), signal).map_err(|e| RedisServerError::Signal(e.into()))
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _already_gone = self.kill().is_err();
    }
}

/// The ports of servers. They are below the ephemeral ports, so that no outgoing connection takes the port of a server that
/// restarts. The same holds for the port of a cluster's bus, which is 10,000 higher.
const PORTS: Range<u16> = 11_000..22_000;

/// A port on which nobody is listening at the moment.
pub(crate) fn free_port() -> io::Result<u16> {
    let chance = RandomState::new();
    let mut tries = 0u32;
    loop {
        let nth = u16::try_from(chance.hash_one(tries) % u64::from(PORTS.end - PORTS.start)).unwrap_or(0);
        match TcpListener::bind((Ipv4Addr::LOCALHOST, PORTS.start + nth)) {
            Ok(listener) => return listener.local_addr().map(|address| address.port()),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < 100 => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

fn free_ports(options: &RedisOptions) -> io::Result<Ports> {
    let tls = options.tls.as_ref().map(|_| free_port()).transpose()?;
    Ok(Ports { plain: free_port()?, tls })
}

fn arguments(options: &RedisOptions, ports: Ports, dir: &Path) -> Vec<OsString> {
    let further = options.args.iter().map(Into::into);
    match options.flavor {
        Flavor::Redis => redis_arguments(options, ports, dir).into_iter().chain(further).collect(),
        Flavor::Sentinel => {
            let first = [dir.join(SENTINEL_FILE).into(), "--sentinel".into()];
            first.into_iter().chain(redis_arguments(options, ports, dir)).collect()
        }
        Flavor::Dragonfly => {
            dragonfly_arguments(options, ports.plain, dir).into_iter().chain(further).collect()
        }
    }
}

fn dragonfly_arguments(options: &RedisOptions, port: u16, dir: &Path) -> Vec<OsString> {
    let fixed = ["--bind=127.0.0.1", "--dbfilename=", "--logtostderr", "--version_check=false"];
    let mut args: Vec<OsString> = fixed.map(Into::into).into();
    args.extend([format!("--port={port}").into(), format!("--dir={}", dir.display()).into()]);
    args.extend(options.requirepass.iter().map(|password| format!("--requirepass={password}").into()));
    args
}

fn redis_arguments(options: &RedisOptions, ports: Ports, dir: &Path) -> Vec<OsString> {
    let append_only = if options.append_only { "yes" } else { "no" };
    let mut args: Vec<OsString> =
        ["--bind", "127.0.0.1", "--save", "", "--daemonize", "no"].map(Into::into).into();
    args.extend(["--appendonly".into(), append_only.into(), "--port".into(), ports.plain.to_string().into()]);
    args.extend(["--dir".into(), dir.into(), "--logfile".into(), dir.join(LOG).into()]);
    if let Some(password) = &options.requirepass {
        args.extend(["--requirepass".into(), password.into()]);
    }
    if options.debug_command {
        args.extend(["--enable-debug-command".into(), "yes".into()]);
    }
    if let Some((tls, port)) = options.tls.as_ref().zip(ports.tls) {
        args.extend(tls_arguments(tls, port));
    }
    args
}

fn tls_arguments(tls: &ServerTls, port: u16) -> [OsString; 10] {
    let asks_clients = if tls.asks_clients { "yes" } else { "no" };
    [
        "--tls-port".into(),
        port.to_string().into(),
        "--tls-cert-file".into(),
        (&tls.cert).into(),
        "--tls-key-file".into(),
        (&tls.key).into(),
        "--tls-ca-cert-file".into(),
        (&tls.ca).into(),
        "--tls-auth-clients".into(),
        asks_clients.into(),
    ]
}

/// Writes a Sentinel's configuration file, unless it exists. A Sentinel stores its state in this file, so a restarted one
/// must find it as it left it.
fn write_sentinel_file(options: &RedisOptions, dir: &Path) -> io::Result<()> {
    let path = dir.join(SENTINEL_FILE);
    if options.flavor != Flavor::Sentinel || path.exists() {
        return Ok(());
    }
    std::fs::write(path, options.args.iter().flat_map(|line| [line, "\n"]).collect::<String>())
}

fn launch(options: &RedisOptions, ports: Ports, dir: &Path) -> Result<Child, RedisServerError> {
    write_sentinel_file(options, dir).map_err(RedisServerError::Place)?;
    let program = options.program.to_string_lossy().into_owned();
    let mut command = Command::new(&options.program);
    command.args(arguments(options, ports, dir)).stdin(Stdio::null()).stdout(Stdio::null());
    match options.flavor {
        Flavor::Redis | Flavor::Sentinel => command.stderr(Stdio::null()),
        Flavor::Dragonfly => command.stderr(File::create(dir.join(LOG)).map_err(RedisServerError::Place)?),
    };
    let mut child =
        command.spawn().map_err(|source| RedisServerError::Run { program: program.clone(), source })?;
    for _ in 0..STARTUP_TRIES {
        if answers(options, ports.plain, child.id()) {
            return Ok(child);
        }
        if child.try_wait().map_err(RedisServerError::Place)?.is_some() {
            break;
        }
        thread::sleep(STARTUP_WAIT);
    }
    let _already_gone = child.kill().is_err();
    child.wait().map_err(RedisServerError::Place)?;
    Err(RedisServerError::NotUp { program, output: log_of(dir) })
}

/// Whether the server serves. While it loads its files, it answers but does not serve. Another server may have taken the
/// port first, so the process id of a Redis is checked.
fn answers(options: &RedisOptions, port: u16, pid: u32) -> bool {
    let serves = |mut client: RedisClient| -> Result<bool, RedisError> {
        let pong = client.command(&[b"PING"])?;
        let info = client.command(&[b"INFO", b"server"])?.text().unwrap_or_default();
        let told = info.lines().find_map(|line| line.strip_prefix("process_id:"));
        let is_ours = match options.flavor {
            Flavor::Redis | Flavor::Sentinel => told.is_some_and(|told| told.trim() == pid.to_string()),
            Flavor::Dragonfly => true,
        };
        Ok(is_ours && matches!(pong, Reply::Simple(text) if text == "PONG"))
    };
    connect(options, port).and_then(serves).unwrap_or(false)
}

fn connect(options: &RedisOptions, port: u16) -> Result<RedisClient, RedisError> {
    let mut client = RedisClient::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    if let Some(password) = &options.requirepass {
        client.expect(&[b"AUTH", password.as_bytes()])?;
    }
    Ok(client)
}

/// The last lines of the server's log.
fn log_of(dir: &Path) -> String {
    let log = std::fs::read_to_string(dir.join(LOG)).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines.split_at(lines.len().saturating_sub(5)).1.join(" | ")
}
