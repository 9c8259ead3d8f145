//! Events out of one file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, anyhow};
use bytes::BytesMut;
use dfly_rdb::{Config, Decoder, Event};
use dfly_wire::Step;

/// How much is read at a time, in bytes.
const CHUNK: usize = 256 << 10;

/// A file that is being decoded.
pub(super) struct EventReader {
    file: File,
    decoder: Decoder,
    unread: BytesMut,
    chunk: Vec<u8>,
}

impl EventReader {
    pub(super) fn open(path: &Path, config: Config) -> anyhow::Result<Self> {
        let file = File::open(path).context("cannot open it")?;
        Ok(Self { file, decoder: Decoder::new(config), unread: BytesMut::new(), chunk: vec![0; CHUNK] })
    }

    /// The next event; none behind the end of the stream.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Event>> {
        loop {
            match self.decoder.decode(&mut self.unread)? {
                Step::Ready(event) => return Ok(Some(event)),
                Step::Need(_) if self.decoder.is_finished() => return Ok(None),
                Step::Need(n) => self.fill(n.get())?,
            }
        }
    }

    /// How many bytes were taken.
    pub(super) fn offset(&self) -> u64 {
        self.decoder.offset()
    }

    /// Reads at least `missing` bytes.
    fn fill(&mut self, missing: usize) -> anyhow::Result<()> {
        let mut filled = 0;
        while filled < missing {
            match self.file.read(&mut self.chunk).context("cannot read it")? {
                0 => {
                    let end = self.decoder.offset() + self.unread.len() as u64;
                    return Err(anyhow!("it is cut off: it ends at byte {end}, in the middle of a snapshot"));
                }
                n => {
                    self.unread.extend_from_slice(self.chunk.get(..n).unwrap_or_default());
                    filled += n;
                }
            }
        }
        Ok(())
    }
}
