//! A client of the API.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;

use crate::wire::{
    Accepted, CheckRequest, Checkpointed, Checks, CutoverRequest, CutoverState, Limits, OneEvent, Problem,
    ProblemBody, Refetch, Refetched, Release, Released, Sample, Settle, Settled, Status, VerifyRequest,
    Watch, Watched,
};

/// The largest answer that is read, in bytes.
const LARGEST_ANSWER: usize = 16 << 20;

/// Where a run is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Address {
    Socket(PathBuf),
    /// `host:port`.
    Network(String),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            Self::Network(address) => f.write_str(address),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// It is no `http://host:port`.
    #[error("`{0}` is not of the form http://host:port")]
    NotAnAddress(String),
    /// Nobody listens there.
    #[error("no run answers at {address}: {error}")]
    Unreachable {
        /// Where.
        address: String,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The connection broke.
    #[error("the connection to the run broke: {0}")]
    Broken(#[from] hyper::Error),
    /// The request was refused.
    #[error("{}", told(.0))]
    Refused(Problem),
    /// The answer is none that this release knows.
    #[error("the run gives an answer that this release does not understand: {0}")]
    Strange(String),
}

fn told(problem: &Problem) -> String {
    match &problem.action {
        Some(action) => format!("{}; {action}", problem.message),
        None => problem.message.clone(),
    }
}

/// A client. Its requests follow each other on one connection.
#[derive(Debug)]
pub struct Client {
    address: Address,
    token: Option<String>,
    connection: Mutex<Option<http1::SendRequest<Full<Bytes>>>>,
}

impl Clone for Client {
    /// Another one, with a connection of its own.
    fn clone(&self) -> Self {
        Self::new(self.address.clone(), self.token.clone())
    }
}

impl Client {
    fn new(address: Address, token: Option<String>) -> Self {
        Self { address, token, connection: Mutex::new(None) }
    }

    /// Of the run that listens on this socket.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`], if there is no socket.
    pub fn socket(path: &Path) -> Result<Self, ClientError> {
        let address = Address::Socket(path.to_owned());
        match std::fs::metadata(path) {
            Ok(_) => Ok(Self::new(address, None)),
            Err(error) => Err(ClientError::Unreachable { address: address.to_string(), error }),
        }
    }

    /// Of a run that may come to listen on this socket later.
    pub fn later_socket(path: &Path) -> Self {
        Self::new(Address::Socket(path.to_owned()), None)
    }

    /// Another client of the same run, with a connection of its own.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::new(self.address.clone(), self.token.clone())
    }

    /// Of the run at `http://host:port`, with its token.
    ///
    /// # Errors
    /// [`ClientError::NotAnAddress`].
    pub fn address(url: &str, token: Option<String>) -> Result<Self, ClientError> {
        let host = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        match host.filter(|host| !host.is_empty() && !host.contains('/')) {
            Some(host) => Ok(Self::new(Address::Network(host.to_owned()), token)),
            None => Err(ClientError::NotAnAddress(url.to_owned())),
        }
    }

    /// What the run is doing.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get("status").await
    }

    /// What has happened last.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn events(&self) -> Result<Vec<OneEvent>, ClientError> {
        self.get("events").await
    }

    /// The last hour.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn history(&self) -> Result<Vec<Sample>, ClientError> {
        self.get("history").await
    }

    /// The samples of the last hour that were taken after this moment, in milliseconds since 1970.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn history_since(&self, after: i64) -> Result<Vec<Sample>, ClientError> {
        self.get(&format!("history?after={after}")).await
    }

    /// The settings of the run, without secrets.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn config(&self) -> Result<serde_json::Value, ClientError> {
        self.get("config").await
    }

    /// One of `pause`, `resume`, `accept`, `refuse` and `stop`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn order(&self, order: &str) -> Result<Accepted, ClientError> {
        self.post(order, &serde_json::json!({})).await
    }

    /// Other limits of speed.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn limit(&self, limits: &Limits) -> Result<Accepted, ClientError> {
        self.post("limits", limits).await
    }

    /// Reads keys again from the source.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn repair(&self, keys: &Refetch) -> Result<Refetched, ClientError> {
        self.post("repair", keys).await
    }

    /// Begins a cutover.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn cut_over(&self, asked: &CutoverRequest) -> Result<Accepted, ClientError> {
        self.post("cutover", asked).await
    }

    /// How far the cutover has come.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn cutover(&self) -> Result<CutoverState, ClientError> {
        self.get("cutover").await
    }

    /// Ends the cutover.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn end_cutover(&self) -> Result<CutoverState, ClientError> {
        self.post("release", &serde_json::json!({})).await
    }

    /// Begins a comparison.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn check(&self, asked: &CheckRequest) -> Result<Accepted, ClientError> {
        self.post("check", asked).await
    }

    /// The comparison that runs, and the last one.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn checks(&self) -> Result<Checks, ClientError> {
        self.get("checks").await
    }

    /// Compares and repairs at this rate from now on.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn verify(&self, asked: VerifyRequest) -> Result<Accepted, ClientError> {
        self.post("verify", &asked).await
    }

    /// Stores what was read.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn checkpoint(&self) -> Result<Checkpointed, ClientError> {
        self.post("checkpoint", &serde_json::json!({})).await
    }

    /// Begins to watch keys.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn watch(&self, watch: &Watch) -> Result<Watched, ClientError> {
        self.post("step/watch", watch).await
    }

    /// The source was read.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn settle(&self, settle: &Settle) -> Result<Settled, ClientError> {
        self.post("step/settle", settle).await
    }

    /// The target was read.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn release(&self, release: Release) -> Result<Released, ClientError> {
        self.post("step/release", &release).await
    }

    /// Asks for something else under `/api/v1/`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    /// Orders something else under `/api/v1/`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Strange(error.to_string()))?;
        self.ask(Method::POST, path, body.into()).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let (status, body) = self.pass_on(method, path, body).await?;
        match status.is_success() {
            true => serde_json::from_slice(&body).map_err(|error| ClientError::Strange(error.to_string())),
            false => Err(match serde_json::from_slice::<ProblemBody>(&body) {
                Ok(body) => ClientError::Refused(body.error),
                Err(_no_problem) => ClientError::Strange(format!("status {status}")),
            }),
        }
    }

    /// Asks for something under `/api/v1/`, and gives the answer as it is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn pass_on(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let mut connection = self.connection.lock().await;
        let mut sender = match connection.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        sender.ready().await?;
        let response = sender.send_request(self.request(method, path, body)?).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
        let body = body.map_err(|error| ClientError::Strange(error.to_string()))?.to_bytes();
        *connection = Some(sender);
        drop(connection);
        Ok((status, body))
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, ClientError> {
        let host = match &self.address {
            Address::Socket(_) => "localhost",
            Address::Network(host) => host,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1/{path}"))
            .header(HOST, host)
            .header(CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        request.body(Full::new(body)).map_err(|error| ClientError::Strange(error.to_string()))
    }

    async fn connect(&self) -> Result<http1::SendRequest<Full<Bytes>>, ClientError> {
        let failed = |error| ClientError::Unreachable { address: self.address.to_string(), error };
        match &self.address {
            Address::Socket(path) => handshake(UnixStream::connect(path).await.map_err(failed)?).await,
            Address::Network(host) => {
                handshake(TcpStream::connect(host.as_str()).await.map_err(failed)?).await
            }
        }
    }
}

async fn handshake<S>(stream: S) -> Result<http1::SendRequest<Full<Bytes>>, ClientError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Whoever asks hears of its end.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}
