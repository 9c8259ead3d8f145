//! A target that speaks RESP on 127.0.0.1 and writes down every command that it is sent. It does what the engine reads back:
//! its own keys, transactions, scripts, walks; of the data it only knows which keys are there. Three of them form a cluster.

mod answers;
mod keyspace;
mod nodes;
mod scripts;
mod serve;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use redis_slots::Slot;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::resp::{Command, begins};

use keyspace::Keyspace;
pub(crate) use nodes::NOW;
use nodes::Node;

/// A connection, and what it has sent.
#[derive(Debug)]
pub(crate) struct Log {
    /// The node that it leads to.
    pub node: usize,
    /// Each with its number among all commands of all connections.
    pub commands: Vec<(usize, Command)>,
    is_open: bool,
    is_writer: bool,
    /// How many transactions are carried out yet before it is closed, none of them answered.
    closes_behind: Option<usize>,
}

/// A command that is refused.
#[derive(Debug)]
struct Refusal {
    words: Vec<String>,
    /// How many such commands are carried out first.
    skip: usize,
    times: usize,
    error: String,
}

#[derive(Debug)]
struct State {
    nodes: Vec<Node>,
    logs: Vec<Log>,
    refusals: Vec<Refusal>,
    /// Nothing of a writer is carried out for now.
    is_held: bool,
    received: usize,
    /// How many commands had come whenever all that was to come had.
    rests: Vec<usize>,
}

impl State {
    fn log(&mut self, connection: usize) -> &mut Log {
        &mut self.logs[connection]
    }

    /// How this command is refused, if it is.
    fn refused(&mut self, command: &Command) -> Option<String> {
        let begins_so = |refusal: &Refusal| {
            let words: Vec<&str> = refusal.words.iter().map(String::as_str).collect();
            refusal.times > 0 && begins(command, &words)
        };
        let refusal = self.refusals.iter_mut().find(|refusal| begins_so(refusal))?;
        if refusal.skip > 0 {
            refusal.skip -= 1;
            return None;
        }
        refusal.times -= 1;
        Some(refusal.error.clone())
    }
}

struct Shared {
    state: Mutex<State>,
    /// For those who wait for something to come.
    version: watch::Sender<u64>,
    /// For the connections: what is held, or closed, may differ.
    orders: watch::Sender<u64>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    fn order(&self) {
        self.orders.send_modify(|orders| *orders += 1);
    }
}

/// One server, or a cluster. It ends when it is dropped.
pub(crate) struct FakeTarget {
    shared: Arc<Shared>,
    accepting: Vec<JoinHandle<()>>,
}

impl FakeTarget {
    /// With so many nodes, which form a cluster if there are several.
    pub(crate) async fn start(count: usize) -> Self {
        let mut listeners = Vec::new();
        for _ in 0..count {
            listeners.push(TcpListener::bind(("127.0.0.1", 0)).await.unwrap());
        }
        let node = |listener: &TcpListener| Node {
            address: listener.local_addr().unwrap(),
            keys: Keyspace::default(),
        };
        let nodes = listeners.iter().map(node).collect();
        let state = State {
            nodes,
            logs: Vec::new(),
            refusals: Vec::new(),
            is_held: false,
            received: 0,
            rests: Vec::new(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            version: watch::Sender::new(0),
            orders: watch::Sender::new(0),
        });
        let accept = |(node, listener)| tokio::spawn(serve::accept(listener, node, Arc::clone(&shared)));
        Self { accepting: listeners.into_iter().enumerate().map(accept).collect(), shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.shared.lock().nodes[0].address
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.shared.lock().nodes.len() > 1
    }

    /// Puts a key there that nobody has sent.
    pub(crate) fn plant(&self, db: u32, key: &str) {
        let mut state = self.shared.lock();
        let at = nodes::owner(Slot::of(key.as_bytes()), state.nodes.len());
        state.nodes[at].keys.plant(db, key);
    }

    /// Lets a key go, as if it had expired.
    pub(crate) fn forget(&self, db: u32, key: &str) {
        let place = (db, Bytes::copy_from_slice(key.as_bytes()));
        let mut state = self.shared.lock();
        assert!(state.nodes.iter_mut().any(|node| node.keys.remove(&place)), "{key} is not there");
    }

    /// From here on `times` commands that begin with these words are refused with this error, behind `skip` that are not.
    /// `WRONGTYPE` comes when the command is carried out, all others when it comes.
    pub(crate) fn refuse(&self, words: &str, (skip, times): (usize, usize), error: &str) {
        let words = words.split(' ').map(str::to_owned).collect();
        self.shared.lock().refusals.push(Refusal { words, skip, times, error: error.to_owned() });
    }

    /// From here on nothing of a writer is carried out or answered.
    pub(crate) fn hold(&self) {
        self.shared.lock().is_held = true;
    }

    /// What is held is carried out, and all that comes.
    pub(crate) fn release(&self) {
        self.shared.lock().is_held = false;
        self.shared.order();
    }

    /// Carries out `transactions` of what each writer has sent, answers none of them, and closes its connection.
    pub(crate) fn break_writers(&self, transactions: usize) {
        let mut state = self.shared.lock();
        state.is_held = false;
        let writers = state.logs.iter_mut().filter(|log| log.is_writer && log.is_open);
        writers.for_each(|log| log.closes_behind = Some(transactions));
        drop(state);
        self.shared.order();
    }

    async fn until(&self, holds: impl Fn(&State) -> bool) {
        let mut version = self.shared.version.subscribe();
        loop {
            version.borrow_and_update();
            if holds(&self.shared.lock()) {
                return;
            }
            version.changed().await.unwrap();
        }
    }

    /// Waits until the client has closed all its connections.
    pub(crate) async fn all_closed(&self) {
        self.until(|state| state.logs.iter().all(|log| !log.is_open)).await;
    }

    /// Waits until so many commands of this name have come, of all connections.
    pub(crate) async fn has_received(&self, name: &str, count: usize) {
        self.until(|state| count_of(state, name) >= count).await;
    }

    /// How many commands of this name have come.
    pub(crate) fn received(&self, name: &str) -> usize {
        count_of(&self.shared.lock(), name)
    }

    /// How many commands have come.
    pub(crate) fn received_in_all(&self) -> usize {
        self.shared.lock().received
    }

    /// Nothing more comes for now.
    pub(crate) fn rests(&self) {
        let mut state = self.shared.lock();
        let received = state.received;
        state.rests.push(received);
    }

    /// What every connection has sent, in the order in which they were opened, and how many commands had come at each rest.
    pub(crate) fn take_logs(self) -> (Vec<Log>, Vec<usize>) {
        let mut state = self.shared.lock();
        (std::mem::take(&mut state.logs), std::mem::take(&mut state.rests))
    }
}

fn count_of(state: &State, name: &str) -> usize {
    state.logs.iter().flat_map(|log| &log.commands).filter(|(_, command)| command[0] == name).count()
}

impl Drop for FakeTarget {
    fn drop(&mut self) {
        self.accepting.iter().for_each(JoinHandle::abort);
    }
}
