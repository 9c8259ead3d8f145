//! What a test may observe and control on a master.

use bytes::Bytes;

use super::origin::Origin;
use super::state::{Ended, Role, State};
use super::{Front, Shared};

impl<O: Origin> State<O> {
    fn commands_where(&self, wanted: impl Fn(Role) -> bool) -> Vec<Vec<Bytes>> {
        let logs = self.connections.iter().filter(|log| wanted(log.role));
        logs.flat_map(|log| log.commands.iter().cloned()).collect()
    }
}

impl<O: Origin> Front<O> {
    pub(crate) fn acks(&self, session: usize, flow: usize) -> Vec<u64> {
        self.shared.lock().flow(session, flow).map(|flow| flow.acks.clone()).unwrap_or_default()
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.shared.lock().violations.clone()
    }

    pub(crate) fn commands(&self) -> Vec<Vec<Bytes>> {
        self.shared.lock().commands_where(|role| matches!(role, Role::Control(_)))
    }

    pub(crate) fn flow_commands(&self) -> Vec<Vec<Bytes>> {
        self.shared.lock().commands_where(|role| matches!(role, Role::Flow { .. }))
    }

    /// Lets the held flow continue.
    pub(crate) fn release(&self) {
        self.shared.lock().released = true;
        self.shared.changed();
    }

    /// Closes every connection of the newest session.
    pub(crate) fn cut(&self) {
        let mut state = self.shared.lock();
        if let Some(last) = state.sessions.len().checked_sub(1) {
            state.end(last, Ended::ByMaster);
        }
        drop(state);
        self.shared.changed();
    }

    pub(crate) async fn sessions_begun(&self, count: usize) {
        self.shared.until(|state| (state.sessions.len() >= count).then_some(())).await;
    }

    pub(crate) async fn session_ended(&self, session: usize) {
        let ended =
            |state: &mut State<O>| state.sessions.get(session).and_then(|session| session.ended).map(|_| ());
        self.shared.until(ended).await;
    }

    pub(crate) async fn acked(&self, session: usize, flow: usize, lsn: u64) {
        let enough = |state: &mut State<O>| {
            state.flow(session, flow).is_some_and(|f| f.acks.last().is_some_and(|a| *a >= lsn)).then_some(())
        };
        self.shared.until(enough).await;
    }

    pub(crate) async fn violated(&self) -> Vec<String> {
        self.shared.until(|state| (!state.violations.is_empty()).then(|| state.violations.clone())).await
    }

    /// Whether the client's `session`-th session has been sent and acknowledged completely.
    pub(crate) fn is_complete(state: &State<O>, session: usize) -> bool {
        state.sessions.get(session).is_some_and(|session| session.complete) || state.is_complete(session)
    }

    /// How many bytes of a flow's stream have been sent.
    pub(crate) fn sent(&self, session: usize, flow: usize) -> usize {
        self.shared.lock().flow(session, flow).map_or(0, |flow| flow.stream.written)
    }

    /// Waits until everything of the newest session has been sent, and gives how many bytes that were.
    pub(crate) async fn everything_sent(&self) -> u64 {
        self.shared
            .until(|state| {
                let last = state.sessions.len().checked_sub(1).filter(|last| state.is_sent(*last))?;
                let flows = state.sessions.get(last)?.flows.iter().flatten();
                Some(flows.map(|flow| flow.stream.written as u64).sum())
            })
            .await
    }

    /// Waits until `bytes` bytes of a flow's stream have been sent.
    pub(crate) async fn sent_at_least(&self, session: usize, flow: usize, bytes: usize) {
        let enough = |state: &mut State<O>| {
            state.flow(session, flow).is_some_and(|flow| flow.stream.written >= bytes).then_some(())
        };
        self.shared.until(enough).await;
    }

    /// Waits until every byte of the session has been sent and every flow's last ACK has arrived.
    pub(crate) async fn completed(&self, session: usize) {
        self.shared.until(|state| Self::is_complete(state, session).then_some(())).await;
    }
}

impl<O: Origin> Shared<O> {
    /// Ends each session that is followed by another one when it is complete, or when its last ACKs take longer than
    /// `ack_timeout`.
    pub(crate) async fn end_sessions(&self) {
        for session in 0.. {
            let over = |state: &mut State<O>| state.sessions.get(session).is_some_and(|s| s.ended.is_some());
            self.until(|state| (over(state) || state.is_sent(session)).then_some(())).await;
            let (ends, timeout) = {
                let state = self.lock();
                (state.origin.ends_by_itself(session), state.options.ack_timeout)
            };
            if !ends {
                continue;
            }
            let complete = self.until(|state| (over(state) || state.is_complete(session)).then_some(()));
            // Whether it timed out or not, the recorded session ended here.
            let _in_time: Result<(), tokio::time::error::Elapsed> =
                tokio::time::timeout(timeout, complete).await;
            self.lock().end(session, Ended::ByMaster);
            self.changed();
        }
    }
}

/// Defines what a test may observe and control on a master: the same methods for each type with a `front` field.
macro_rules! observations {
    ($master:ty) => {
        impl $master {
            /// Where it listens.
            pub fn address(&self) -> std::net::SocketAddr {
                self.front.address()
            }

            /// The LSNs that the client acknowledged on a flow of its `session`-th session (from 0), in order.
            pub fn acks(&self, session: usize, flow: usize) -> Vec<u64> {
                self.front.acks(session, flow)
            }

            /// The client's protocol violations, in the order of detection.
            pub fn violations(&self) -> Vec<String> {
                self.front.violations()
            }

            /// All commands of connections that are not flows, connection by connection.
            pub fn commands(&self) -> Vec<Vec<bytes::Bytes>> {
                self.front.commands()
            }

            /// All commands up to DFLY FLOW of connections that are flows, connection by connection.
            pub fn flow_commands(&self) -> Vec<Vec<bytes::Bytes>> {
                self.front.flow_commands()
            }

            /// How many bytes of a flow's stream have been sent.
            pub fn sent(&self, session: usize, flow: usize) -> usize {
                self.front.sent(session, flow)
            }

            /// Waits until everything of the newest session has been sent, and gives how many bytes that were.
            pub async fn everything_sent(&self) -> u64 {
                self.front.everything_sent().await
            }

            /// Lets the flow continue that the options hold back.
            pub fn release(&self) {
                self.front.release();
            }

            /// Closes every connection of the newest session, as a broken network would.
            pub fn cut(&self) {
                self.front.cut();
            }

            /// Waits until the client has begun `count` sessions.
            pub async fn sessions_begun(&self, count: usize) {
                self.front.sessions_begun(count).await;
            }

            /// Waits until the client's `session`-th session (from 0) has been sent and acknowledged completely.
            pub async fn session_finished(&self, session: usize) {
                self.front.completed(session).await;
            }

            /// Waits until the client's `session`-th session (from 0) is over, whoever ended it.
            pub async fn session_ended(&self, session: usize) {
                self.front.session_ended(session).await;
            }

            /// Waits until the client has acknowledged `lsn` or more on a flow.
            pub async fn acked(&self, session: usize, flow: usize, lsn: u64) {
                self.front.acked(session, flow, lsn).await;
            }

            /// Waits until `bytes` bytes of a flow's stream have been sent.
            pub async fn sent_at_least(&self, session: usize, flow: usize, bytes: usize) {
                self.front.sent_at_least(session, flow, bytes).await;
            }

            /// Waits for the first violation and returns all violations.
            pub async fn violated(&self) -> Vec<String> {
                self.front.violated().await
            }
        }
    };
}
