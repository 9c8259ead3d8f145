//! Strings of one size, which are made as they are sent, so that the data need not fit in memory twice.

use anyhow::Result;
use df2redis_benches::rig::source::Source;
use df2redis_benches::streams::text;
use redis_resp::CommandBatch;

/// About how many bytes are made at a time.
const PART: u64 = 16 << 20;

/// Bytes of a key.
const KEY: u64 = 12;

/// The data of one measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Data {
    pub keys: u32,
    /// Bytes of each value.
    pub value: u32,
}

impl Data {
    /// Bytes of all keys and values.
    pub(crate) fn bytes(self) -> u64 {
        u64::from(self.keys) * (KEY + u64::from(self.value))
    }

    /// Stores it in the source.
    pub(crate) fn load(self, source: &Source) -> Result<()> {
        let value_size = usize::try_from(self.value)?;
        let (mut part, mut bytes) = (CommandBatch::default(), 0);
        for serial in 0..self.keys {
            part.push(&[b"SET", format!("key:{serial:08}").as_bytes(), &text(serial, value_size)]);
            bytes += KEY + u64::from(self.value);
            if bytes >= PART {
                source.load(&std::mem::take(&mut part))?;
                bytes = 0;
            }
        }
        source.load(&part)
    }
}
