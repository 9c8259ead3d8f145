//! One direction of a connection whose bytes arrive later: a queue of bounded size between a thread that reads and one that
//! writes.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The most bytes that are under way in one direction. With 25 ms in each direction, that is 2.6 GB/s, several times what a
/// connection over the loopback carries through two threads; so the bandwidth is the machine's, whatever the delay.
pub(crate) const UNDER_WAY: usize = 64 << 20;

/// The most bytes that are read at once.
const CHUNK: usize = 256 << 10;

/// Bytes, and when they are due.
#[derive(Debug)]
struct Chunk {
    due: Instant,
    bytes: Vec<u8>,
}

#[derive(Debug, Default)]
struct Queue {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    /// No more chunks come, or none is taken.
    is_closed: bool,
}

/// What is under way in one direction.
#[derive(Debug, Default)]
pub(crate) struct Line {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Line {
    /// Forwards until `from` ends; then `to` is told so. Each chunk is written `delay` after it was read.
    pub(crate) fn forward(&self, from: &TcpStream, to: &TcpStream, delay: Duration) {
        thread::scope(|scope| {
            scope.spawn(|| {
                // A connection that breaks ends, as it would without a proxy.
                let _ended = self.read(from, delay);
                self.close();
            });
            let _ended = self.write(to);
            self.close();
            // The reader may still wait for bytes that nobody would take.
            let _closed_already =
                to.shutdown(Shutdown::Write).is_err() | from.shutdown(Shutdown::Read).is_err();
        });
    }

    fn read(&self, mut from: &TcpStream, delay: Duration) -> io::Result<()> {
        let mut room = vec![0; CHUNK];
        loop {
            let read = from.read(&mut room)?;
            let bytes = room.get(..read).unwrap_or_default().to_vec();
            if bytes.is_empty() || !self.put(Chunk { due: Instant::now() + delay, bytes }) {
                return Ok(());
            }
        }
    }

    fn write(&self, mut to: &TcpStream) -> io::Result<()> {
        while let Some(chunk) = self.take() {
            thread::sleep(chunk.due.saturating_duration_since(Instant::now()));
            to.write_all(&chunk.bytes)?;
        }
        Ok(())
    }

    /// Waits for room. Whether the chunk was taken.
    fn put(&self, chunk: Chunk) -> bool {
        let full = |queue: &mut Queue| queue.bytes >= UNDER_WAY && !queue.is_closed;
        let waited = self.changed.wait_while(self.lock(), full);
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
        if queue.is_closed {
            return false;
        }
        queue.bytes += chunk.bytes.len();
        queue.chunks.push_back(chunk);
        self.changed.notify_all();
        true
    }

    /// Waits for a chunk. `None`: the last one was taken.
    fn take(&self) -> Option<Chunk> {
        let empty = |queue: &mut Queue| queue.chunks.is_empty() && !queue.is_closed;
        let waited = self.changed.wait_while(self.lock(), empty);
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
        let chunk = queue.chunks.pop_front()?;
        queue.bytes -= chunk.bytes.len();
        self.changed.notify_all();
        Some(chunk)
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
