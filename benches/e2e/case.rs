//! What is measured, and the commands of each measurement.

use redis_resp::CommandBatch;

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// A snapshot of strings of 100 bytes.
    Strings,
    /// A snapshot of hashes, lists, sets and sorted sets of 50 elements.
    Collections,
    /// A journal of SET with 100 bytes, each of another key.
    Sets,
    /// A journal of INCR, five of each key.
    Increments,
}

/// How many INCR each key gets.
const INCREMENTS_A_KEY: u32 = 5;

/// How many elements a collection has.
const ELEMENTS: u32 = 50;

impl Case {
    pub(crate) const ALL: [Self; 4] = [Self::Strings, Self::Collections, Self::Sets, Self::Increments];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Strings => "snapshot, strings of 100 bytes",
            Self::Collections => "snapshot, collections of 50 elements",
            Self::Sets => "journal, SET of 100 bytes",
            Self::Increments => "journal, INCR",
        }
    }

    /// How many commands it has when it is not scaled down; of a snapshot, how many keys.
    pub(crate) fn size(self) -> u32 {
        match self {
            Self::Strings => 1_000_000,
            Self::Collections => 200_000,
            Self::Sets | Self::Increments => 500_000,
        }
    }

    /// The least ratio that is aimed at: the time of `redis-cli --pipe` by that of the tool.
    pub(crate) fn aim(self) -> f64 {
        match self {
            Self::Strings => 1.15,
            Self::Collections => 0.95,
            Self::Sets => 1.1,
            Self::Increments => 0.9,
        }
    }

    pub(crate) fn is_snapshot(self) -> bool {
        matches!(self, Self::Strings | Self::Collections)
    }

    /// How many keys `size` commands leave.
    pub(crate) fn keys(self, size: u32) -> u32 {
        if self == Self::Increments { (size / INCREMENTS_A_KEY).max(1) } else { size }
    }

    /// The commands that make the data, `size` of them.
    pub(crate) fn commands(self, size: u32) -> CommandBatch {
        let mut out = CommandBatch::default();
        for serial in 0..size {
            match self {
                Self::Strings | Self::Sets => {
                    let (key, value) = (format!("key:{serial:08}"), format!("{serial:0100}"));
                    out.push(&[b"SET", key.as_bytes(), value.as_bytes()]);
                }
                Self::Collections => collection(serial, &mut out),
                Self::Increments => {
                    // Spread, so that the same key does not come twice in a batch.
                    let keys = self.keys(size);
                    out.push(&[b"INCR", format!("counter:{:08}", serial % keys).as_bytes()]);
                }
            }
        }
        out
    }
}

fn collection(serial: u32, out: &mut CommandBatch) {
    let key = format!("collection:{serial:08}");
    let (name, paired): (&[u8], bool) = match serial % 4 {
        0 => (b"RPUSH", false),
        1 => (b"SADD", false),
        2 => (b"HSET", true),
        _ => (b"ZADD", true),
    };
    let mut words: Vec<Vec<u8>> = vec![name.to_vec(), key.into_bytes()];
    for index in 0..ELEMENTS {
        let element = format!("element:{serial}:{index}").into_bytes();
        match (paired, name) {
            (false, _) => words.push(element),
            (true, b"ZADD") => words.extend([(serial % 97 + index).to_string().into_bytes(), element]),
            (true, _) => words.extend([format!("field:{index}").into_bytes(), element]),
        }
    }
    out.push(&words.iter().map(Vec::as_slice).collect::<Vec<_>>());
}
