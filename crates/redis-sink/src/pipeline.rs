//! One connection to the target. It writes commands, reads replies, and pairs them through its [`Window`].

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};

use bytes::Bytes;
use redis_resp::connection::Connection;
use redis_resp::{CommandBatch, EncodedCommand};

use crate::refusal::Refusal;
use crate::sink_error::SinkError;
use crate::socket::Socket;
use crate::tally::Tally;
use crate::window::{Window, WindowLimits};

/// A pipelined connection. `T` is the tag that the caller gets back when a batch has settled.
#[derive(Debug)]
pub struct Pipeline<T> {
    socket: Socket,
    /// Batches that are not completely written. The window bounds them, because it holds them too.
    unwritten: VecDeque<Bytes>,
    window: Window<T>,
}

impl<T> Pipeline<T> {
    /// Takes over a connection on which every request has its reply.
    pub fn new(connection: Connection, limits: WindowLimits) -> Self {
        Self { socket: Socket::new(connection), unwritten: VecDeque::new(), window: Window::new(limits) }
    }

    /// Whether another batch may be submitted.
    pub fn has_room(&self) -> bool {
        self.window.has_room()
    }

    /// Whether at least half of the limit is in flight and all of it is written. Then there is no benefit in reading
    /// replies immediately.
    pub fn has_plenty(&self) -> bool {
        self.unwritten.is_empty() && !self.socket.is_unflushed() && self.window.is_half_full()
    }

    /// If nothing is left to be written, it lets replies arrive without a wake-up until [`Self::poll_progress`] has to wait for
    /// one. Returns whether it does.
    pub fn rest(&mut self) -> bool {
        let is_written = self.unwritten.is_empty() && !self.socket.is_unflushed();
        if is_written {
            self.socket.unwatch();
        }
        is_written
    }

    /// How many replies have been taken, on all connections.
    pub fn answers(&self) -> u64 {
        self.window.answers()
    }

    /// What became of the commands that have their reply, on all connections.
    pub fn tally(&self) -> Tally {
        self.window.tally()
    }

    /// How many commands have no reply.
    pub fn unanswered(&self) -> usize {
        self.window.unanswered()
    }

    /// Whether nothing is in flight.
    pub fn is_idle(&self) -> bool {
        self.window.is_empty()
    }

    /// Takes the batch's commands and leaves it empty. [`Self::progress`] writes them.
    pub fn submit(&mut self, batch: &mut CommandBatch, tag: T) {
        let wire = self.window.push(batch, tag);
        self.queue(wire);
    }

    /// The same for commands that do not depend on each other ([`Window::push_independent`]).
    pub fn submit_independent(&mut self, batch: &mut CommandBatch, tag: T) {
        let wire = self.window.push_independent(batch, tag);
        self.queue(wire);
    }

    fn queue(&mut self, wire: Bytes) {
        if !wire.is_empty() {
            self.unwritten.push_back(wire);
        }
    }

    /// The tag of the next batch that the target has carried out completely.
    pub fn settled(&mut self) -> Option<T> {
        self.window.settled()
    }

    /// The commands that were refused inside transactions, or among independent commands, since the last call.
    pub fn take_refusals(&mut self) -> Vec<Refusal> {
        self.window.take_refusals()
    }

    /// Continues on another connection, on which every request has its reply. The leading batches for which `is_done` holds
    /// count as carried out; all others are resent.
    pub fn resume(&mut self, connection: Connection, is_done: impl Fn(&T) -> bool) {
        self.socket = Socket::new(connection);
        self.unwritten = self.window.rewind(is_done).into();
    }

    /// The commands of the batches in flight, oldest first.
    pub fn in_flight(&self) -> impl Iterator<Item = EncodedCommand<'_>> {
        self.window.in_flight()
    }

    /// The commands of batches that [`Self::resume`] would count as carried out although not all of their replies have come.
    pub fn unheard(&self, is_done: impl Fn(&T) -> bool) -> impl Iterator<Item = EncodedCommand<'_>> {
        self.window.unheard(is_done)
    }

    /// The tags of the batches in flight, oldest first.
    pub fn tags(&self) -> impl Iterator<Item = &T> {
        self.window.tags()
    }

    /// Waits until the connection can make progress, then writes as much as it can without blocking, or if it can write nothing,
    /// reads. Safe to cancel.
    ///
    /// # Errors
    /// [`SinkError`]. The connection cannot be used after that.
    pub async fn progress(&mut self) -> Result<(), SinkError> {
        poll_fn(|context| self.poll_progress(context)).await
    }

    /// [`Self::progress`] for callers that poll several things at once. Ready if something was read or written.
    ///
    /// # Errors
    /// [`SinkError`]. The connection cannot be used after that.
    pub fn poll_progress(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SinkError>> {
        if self.poll_write(context)?.is_ready() {
            return Poll::Ready(Ok(()));
        }
        self.socket.poll_read(context, |outcome| self.window.on_outcome(outcome))
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SinkError>> {
        let mut moved = Poll::Pending;
        while let Some(head) = self.unwritten.front_mut() {
            if self.socket.poll_write(context, head)?.is_pending() {
                return moved;
            }
            moved = Poll::Ready(Ok(()));
            if !head.is_empty() {
                return moved;
            }
            self.unwritten.pop_front();
        }
        if !self.socket.is_unflushed() {
            return moved;
        }
        let flushed = self.socket.poll_write(context, &mut Bytes::new())?;
        if flushed.is_ready() { Poll::Ready(Ok(())) } else { moved }
    }
}
