//! One connection to the target: writes, reads, and pairs replies through its [`Window`].

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use redis_resp::connection::Connection;
use redis_resp::{CommandBatch, ReplyError};
use thiserror::Error;
use tokio::io::Interest;

use crate::refusal::Refusal;
use crate::socket::Socket;
use crate::window::{Window, WindowError, WindowLimits};

/// Why nothing more can be written through a connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SinkError {
    /// The connection broke, or the target closed it. What is in flight may or may not have been carried out.
    #[error("the connection to the target broke: {0}")]
    Broken(#[source] io::Error),
    /// What came is no RESP.
    #[error("the target does not speak RESP: {0}")]
    Reply(#[from] ReplyError),
    /// The target refused a command, or answered one that was not sent.
    #[error(transparent)]
    Window(#[from] WindowError),
}

/// A pipelined connection. `T` is what the caller wants back when a batch has settled.
#[derive(Debug)]
pub struct Pipeline<T> {
    socket: Socket,
    /// Batches that are not completely written; bounded by the window, which holds them too.
    unwritten: VecDeque<Bytes>,
    window: Window<T>,
}

impl<T> Pipeline<T> {
    /// Takes over a connection on which every request was answered.
    pub fn new(connection: Connection, limits: WindowLimits) -> Self {
        Self { socket: Socket::new(connection), unwritten: VecDeque::new(), window: Window::new(limits) }
    }

    /// Whether another batch may be submitted.
    pub fn has_room(&self) -> bool {
        self.window.has_room()
    }

    /// Whether more than half of what may be in flight is, and all of it is written: nothing is gained by looking for
    /// replies at once.
    pub fn has_plenty(&self) -> bool {
        self.unwritten.is_empty() && self.window.is_half_full()
    }

    /// Whether nothing is in flight.
    pub fn is_idle(&self) -> bool {
        self.window.is_empty()
    }

    /// Takes the batch's commands and leaves it empty. They are written by [`Self::progress`].
    pub fn submit(&mut self, batch: &mut CommandBatch, tag: T) {
        let wire = self.window.push(batch, tag);
        if !wire.is_empty() {
            self.unwritten.push_back(wire);
        }
    }

    /// The tag of the next batch that the target has carried out completely.
    pub fn settled(&mut self) -> Option<T> {
        self.window.settled()
    }

    /// Commands that were refused inside transactions, since the last call.
    pub fn take_refusals(&mut self) -> Vec<Refusal> {
        self.window.take_refusals()
    }

    /// Goes on with another connection, on which every request was answered: batches for which `is_done` holds were
    /// carried out, the others are sent again.
    pub fn resume(&mut self, connection: Connection, is_done: impl Fn(&T) -> bool) {
        self.socket = Socket::new(connection);
        self.unwritten = self.window.rewind(is_done).into();
    }

    /// The commands of the batches in flight, the oldest first.
    pub fn wires(&self) -> impl Iterator<Item = &Bytes> {
        self.window.wires()
    }

    /// The tags of the batches in flight, the oldest first.
    pub fn tags(&self) -> impl Iterator<Item = &T> {
        self.window.tags()
    }

    /// Waits until the connection can move, then writes and reads what it takes and gives. Safe to cancel.
    ///
    /// # Errors
    /// [`SinkError`]; the connection is of no use then.
    pub async fn progress(&mut self) -> Result<(), SinkError> {
        let interest = if self.unwritten.is_empty() {
            Interest::READABLE
        } else {
            Interest::READABLE | Interest::WRITABLE
        };
        let ready = self.socket.stream().ready(interest).await.map_err(SinkError::Broken)?;
        if ready.is_readable() || ready.is_read_closed() {
            self.socket.read(|outcome| self.window.on_outcome(outcome))?;
        }
        if ready.is_writable() {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), SinkError> {
        while let Some(head) = self.unwritten.front_mut() {
            self.socket.write(head)?;
            if !head.is_empty() {
                return Ok(());
            }
            self.unwritten.pop_front();
        }
        Ok(())
    }
}
