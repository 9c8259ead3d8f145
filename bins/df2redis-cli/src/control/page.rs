//! Page, metrics and API over HTTP, on a thread of their own: whoever reads them takes nothing from the replication.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread::{Builder, JoinHandle};

use anyhow::Context;
use axum::Router;
use replica_api::server::{Access, Token, serve};
use replica_page::Source;
use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::addresses::{Address, DEFAULT};
use crate::exit::Failure;

/// What is served.
#[derive(Debug)]
pub(crate) struct Page {
    pub api: Router,
    pub metrics: Router,
    pub source: Source,
    pub token: Option<Token>,
}

/// The thread that serves. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct PageThread {
    /// Dropped first: the thread ends by it.
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Where it is served.
    pub at: Vec<SocketAddr>,
}

impl Drop for PageThread {
    fn drop(&mut self) {
        drop(self.end.take());
        // A panic of the thread has been told already.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

impl Page {
    /// Begins to serve at these addresses; `None` if there is none, or the usual one is taken.
    pub(crate) fn begin(self, addresses: &[Address]) -> Result<Option<PageThread>, Failure> {
        let listeners: Vec<TcpListener> =
            addresses.iter().map(bind).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        if listeners.is_empty() {
            return Ok(None);
        }
        let at = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let (end, ended) = oneshot::channel();
        let thread = Builder::new().name("page".to_owned()).spawn(move || self.serve(listeners, ended));
        let thread = thread.context("cannot start the thread of the page")?;
        Ok(Some(PageThread { end: Some(end), thread: Some(thread), at }))
    }

    fn serve(self, listeners: Vec<TcpListener>, ended: oneshot::Receiver<()>) {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let served = runtime.and_then(|runtime| runtime.block_on(self.serve_all(listeners, ended)));
        if let Err(error) = served {
            warn!(%error, "the page is not served");
        }
    }

    async fn serve_all(self, listeners: Vec<TcpListener>, ended: oneshot::Receiver<()>) -> io::Result<()> {
        let routes = replica_page::routes(self.source, self.api.merge(self.metrics));
        let mut serving = JoinSet::new();
        for listener in listeners {
            listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let access = Access::of_address(&listener, self.token.clone());
            serving.spawn(serve(listener, routes.clone(), access));
        }
        // Whoever has begun it has dropped the other end.
        drop(ended.await);
        Ok(())
    }
}

/// Listens; `None` if the usual address is taken.
fn bind(address: &Address) -> Result<Option<TcpListener>, Failure> {
    let (at, bound) = match address {
        Address::Named { at, .. } => (at.as_str(), TcpListener::bind(at.as_str())),
        Address::Usual => (DEFAULT, TcpListener::bind(DEFAULT)),
    };
    match (bound, address) {
        (Ok(listener), _) => {
            let shown = listener.local_addr().as_ref().map_or(at.to_owned(), SocketAddr::to_string);
            info!("the page, the metrics and the API are at http://{shown}");
            Ok(Some(listener))
        }
        (Err(error), Address::Named { by, .. }) => Err(Failure::Usage(format!("{by} {at}: {error}"))),
        (Err(error), Address::Usual) => {
            warn!(
                "there is no page, because {DEFAULT} cannot be used ({error}); --dashboard-addr names another address"
            );
            Ok(None)
        }
    }
}
