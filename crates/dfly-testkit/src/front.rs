//! What recorded and scripted masters share: commands, session state, flow connections, and what a test may observe.
//! [`Origin`] supplies the bytes of each flow.

pub(crate) mod command;
mod connection;
mod dfly;
mod keyspace;
#[macro_use]
mod observe;
mod options;
mod origin;
mod pause;
mod replconf;
mod state;
mod stream;
mod transaction;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

pub use options::{Capa, Cut, Hold, Mangle, MasterOptions};
pub use origin::PartialForm;
pub(crate) use origin::{FirstPart, FlowAsk, FlowGrant, Identity, Origin, Refusal, SecondPart};
pub(crate) use state::{Ended, Phase, State};

/// A listening master. Everything ends when it is dropped.
pub(crate) struct Front<O: Origin> {
    pub(crate) shared: Arc<Shared<O>>,
    address: SocketAddr,
    accept: JoinHandle<()>,
}

/// What every connection of a master shares.
pub(crate) struct Shared<O: Origin> {
    state: Mutex<State<O>>,
    version: watch::Sender<u64>,
}

impl<O: Origin> Front<O> {
    /// Listens on a free port of 127.0.0.1.
    pub(crate) async fn start(origin: O, options: MasterOptions) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = Mutex::new(State::new(origin, options));
        let shared = Arc::new(Shared { state, version: watch::Sender::new(0) });
        let accept = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { shared, address, accept })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl<O: Origin> Drop for Front<O> {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

impl<O: Origin> std::fmt::Debug for Front<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The tasks of all connections belong to this task's set, so aborting this task ends them all.
async fn accept<O: Origin>(listener: TcpListener, shared: Arc<Shared<O>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((socket, _peer)) = accepted {
                    connections.spawn(connection::serve(socket, Arc::clone(&shared)));
                }
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

impl<O: Origin> Shared<O> {
    /// Locks the state. The lock must not be held across an await point.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<O>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes everything that waits in [`Shared::until`].
    pub(crate) fn changed(&self) {
        self.version.send_modify(|version| *version = version.wrapping_add(1));
    }

    /// Waits until `ready` returns a value. It is called again after every change.
    pub(crate) async fn until<T>(&self, mut ready: impl FnMut(&mut State<O>) -> Option<T>) -> T {
        let mut version = self.version.subscribe();
        loop {
            version.borrow_and_update();
            if let Some(value) = ready(&mut self.lock()) {
                return value;
            }
            if version.changed().await.is_err() {
                // The sender lives in `self`, so this cannot happen. If it did, there would be nothing to wait for.
                std::future::pending::<()>().await;
            }
        }
    }
}
