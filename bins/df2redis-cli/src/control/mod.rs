//! A running replication and the other commands find each other here: the run listens on a socket, and on an address if it is
//! told to; the commands ask it.

pub(crate) mod addresses;
pub(crate) mod flags;
pub(crate) mod page;
mod remote;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use dfly_replica::{Control, EngineConfig, Report, Stop, TargetMode};
use replica_api::client::Client;
use replica_api::server::{Access, Replication, SocketFile, Token, Verifiable, routes, sample, serve};
use replica_api::wire::{Side, Status};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::info;

use crate::exit::Failure;
use crate::flags::Settings;

pub(crate) use remote::Remote;

/// The socket's name in the state directory.
const SOCKET: &str = "control.sock";

/// How far the target may be behind while the run is ready.
const READY_LAG: Duration = Duration::from_secs(10);

/// Everything that answers for a run. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Serving {
    _tasks: JoinSet<()>,
    page: Option<page::PageThread>,
}

impl Serving {
    /// Where the page is, if there is one.
    pub(crate) fn page(&self) -> Option<String> {
        self.page.as_ref()?.at.first().map(|at| format!("http://{at}"))
    }
}

/// What belongs to a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub control: Control,
    pub reports: watch::Receiver<Report>,
    pub stop: watch::Sender<Stop>,
    pub about: Status,
    pub engine: EngineConfig,
    /// The settings, without secrets.
    pub config: serde_json::Value,
}

/// What a run tells of itself that does not change.
pub(crate) fn about(config: &EngineConfig, task: Option<&str>) -> Status {
    let mode = match config.target_mode {
        TargetMode::Cluster => Some("cluster".to_owned()),
        TargetMode::Standalone => Some("standalone".to_owned()),
        _ => None,
    };
    let has_disk = config.state_dir.is_some() && config.relay_max_bytes > 0;
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        task: task.filter(|name| !name.is_empty()).map(str::to_owned),
        pid: std::process::id(),
        started_at: dfly_replica::Clock::system().host().0,
        source: Side { address: config.source.to_string(), ..Side::default() },
        target: Side { address: config.target.to_string(), mode, ..Side::default() },
        relay_limit: has_disk.then_some(config.relay_max_bytes),
        ..Status::default()
    }
}

/// Serves the API until what is given back is dropped. The socket is made before anything is read or written, so that a path
/// that cannot be used is told at once.
pub(crate) fn listen(settings: &Settings, run: Run) -> Result<Serving, Failure> {
    let verifiable =
        Verifiable { control: run.control.clone(), reports: run.reports.clone(), config: run.engine.clone() };
    let replication = Replication {
        stop: Some(run.stop),
        engine: Some(Arc::new(run.engine)),
        about: Arc::new(run.about),
        config: Arc::new(run.config),
        ..Replication::new(run.control, run.reports)
    };
    replication.verification.set(verifiable, settings.control.verify_continuously.unwrap_or(0));
    let mut serving = JoinSet::new();
    serving.spawn(sample(replication.clone()));
    if let Some(path) = socket_path(settings).map_err(Failure::Usage)? {
        if let Some(folder) = path.parent().filter(|folder| Some(*folder) == settings.state_dir.as_deref()) {
            dfly_replica::StateFile::in_dir(folder).context("the state directory cannot be made")?;
        }
        let socket = SocketFile::bind(&path).map_err(|error| Failure::Usage(error.to_string()))?;
        info!(socket = %path.display(), "listening for commands");
        let routes = routes(replication.clone());
        serving.spawn(async move { drop(serve(socket, routes, Access::Socket).await) });
    }
    let addresses = addresses::of(&settings.control);
    let page = page::Page {
        api: routes(replication.clone()),
        metrics: replica_metrics::routes(replication.clone(), ready_lag(settings)),
        source: replica_page::Source::Here(Box::new(replication)),
        token: token(settings)?,
    };
    let page = page.begin(&addresses)?;
    Ok(Serving { _tasks: serving, page })
}

fn ready_lag(settings: &Settings) -> Duration {
    settings.control.ready_lag.map_or(READY_LAG, Duration::from_secs)
}

/// The token that the settings name.
pub(crate) fn token(settings: &Settings) -> Result<Option<Token>, Failure> {
    let Some(path) = &settings.control.control_token_file else { return Ok(None) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("--control-token-file {}: {error}", path.display())))?;
    match Token::new(&text) {
        Some(token) => Ok(Some(token)),
        None => Err(Failure::Usage(format!("--control-token-file {}: the file is empty", path.display()))),
    }
}

/// Where the socket of a run is; `None`: it has none.
fn socket_path(settings: &Settings) -> Result<Option<PathBuf>, String> {
    match settings.control.control.as_deref() {
        Some(url) if url.contains("://") => {
            Err(format!("--control {url}: a run listens on a path; --control-addr names an address"))
        }
        Some(path) => Ok(Some(PathBuf::from(path))),
        None => Ok(settings.state_dir.as_deref().map(in_state_dir)),
    }
}

pub(crate) fn in_state_dir(dir: &Path) -> PathBuf {
    dir.join(SOCKET)
}

/// A client of the run that the settings lead to; `None`: they name none, or none is there.
pub(crate) fn find(settings: &Settings) -> Result<Option<Client>, Failure> {
    let usage = |error: replica_api::client::ClientError| Failure::Usage(format!("--control: {error}"));
    match settings.control.control.as_deref() {
        Some(url) if url.contains("://") => {
            let token = settings.control.control_token_file.as_ref().map(std::fs::read_to_string).transpose();
            let token = token.context("the file of --control-token-file cannot be read")?;
            Client::address(url, token.map(|token| token.trim().to_owned())).map(Some).map_err(usage)
        }
        Some(path) => Client::socket(Path::new(path)).map(Some).map_err(usage),
        // A socket that is not there is a run that is not there.
        None => Ok(settings.state_dir.as_deref().and_then(|dir| Client::socket(&in_state_dir(dir)).ok())),
    }
}
