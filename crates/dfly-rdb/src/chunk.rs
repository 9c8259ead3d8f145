//! Values that arrive in tagged chunks (protocol section 4.4): each id has a buffer and a reader of its own.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use dfly_wire::DbIndex;

use crate::error::{ErrorKind, KeyExcerpt};
use crate::event::{Event, ValueId};
use crate::input::{Fail, Stop};
use crate::opcode::TAGGED_CHUNK;
use crate::reader::{Context, Progress, ValueReader};

#[derive(Debug)]
pub(crate) struct ChunkTable {
    streams: HashMap<u32, ChunkStream>,
    /// Bytes in all buffers.
    held: usize,
    /// The limit of `held`.
    open_bytes: usize,
}

#[derive(Debug)]
struct ChunkStream {
    reader: ValueReader,
    buffer: BytesMut,
    /// The database that was selected at the first chunk.
    db: DbIndex,
}

impl ChunkTable {
    pub(crate) fn new(open_bytes: usize) -> Self {
        Self { streams: HashMap::new(), held: 0, open_bytes }
    }

    /// Adds a chunk to its value.
    pub(crate) fn add(&mut self, id: u32, payload: &Bytes, context: &Context) -> Result<(), Stop> {
        if payload.len() > self.open_bytes.saturating_sub(self.held) {
            return Err(Stop::fail(TAGGED_CHUNK, ErrorKind::OpenBytes { limit: self.open_bytes }));
        }
        let limit = context.limits.open_values;
        if self.streams.len() >= limit && !self.streams.contains_key(&id) {
            return Err(Stop::fail(TAGGED_CHUNK, ErrorKind::OpenValues { limit }));
        }
        let stream = self.streams.entry(id).or_insert_with(|| ChunkStream {
            reader: ValueReader::new(ValueId(id)),
            buffer: BytesMut::new(),
            db: context.db,
        });
        stream.buffer.extend_from_slice(payload);
        self.held += payload.len();
        Ok(())
    }

    /// The next event of a value; `None` if the value needs another chunk.
    pub(crate) fn step(&mut self, id: u32, context: &Context) -> Result<Option<Event>, Stop> {
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(None) };
        let context = Context { db: stream.db, ..*context };
        let before = stream.buffer.len();
        let stepped = loop {
            match stream.reader.step(&mut stream.buffer, &context) {
                Ok(Progress::Event(event)) => break Some(event),
                Ok(Progress::Entry) => break stream.reader.take_ready(),
                Ok(_) => {}
                Err(Stop::Need(_)) => break None,
                Err(fail) => return Err(fail),
            }
        };
        self.held -= before - stream.buffer.len();
        if matches!(stepped, Some(Event::Entry(_) | Event::Close { .. })) {
            self.close(id)?;
        }
        Ok(stepped)
    }

    /// Removes a complete value. No bytes may follow it in its chunk.
    fn close(&mut self, id: u32) -> Result<(), Stop> {
        match self.streams.remove(&id).map_or(0, |stream| stream.buffer.len()) {
            0 => Ok(()),
            trailing => Err(Stop::fail(TAGGED_CHUNK, ErrorKind::ChunkTrailing(trailing))),
        }
    }

    /// The error for values that are incomplete at the end of the stream.
    pub(crate) fn unfinished(&self) -> Option<Stop> {
        let (_, stream) = self.streams.iter().min_by_key(|(id, _)| **id)?;
        let kind = ErrorKind::Unfinished { count: self.streams.len() };
        let key = stream.reader.key().map(|key| KeyExcerpt::new(key));
        Some(Stop::Fail(Box::new(Fail { at: 0, opcode: None, key, kind })))
    }
}
