//! One operation: a Redis command and its database.

use std::fmt;

use bytes::Bytes;

/// A Redis-like command. The model knows these: `SET` (with `PXAT` or `KEEPTTL`), `DEL`, `UNLINK`, `MSET`, `INCR`,
/// `DECR`, `INCRBY`, `APPEND`, `LPUSH`, `RPUSH`, `LPOP`, `RPOP`, `LSET`, `HSET`, `HDEL`, `HINCRBY`, `SADD`, `SREM`,
/// `ZADD`, `ZINCRBY`, `ZREM`, `XADD` and `XDEL` with explicit ids, `PEXPIREAT`, `PERSIST`, `RENAME`, `FLUSHDB`, `FLUSHALL`.
#[derive(Clone, PartialEq, Eq)]
pub struct Op {
    /// The database.
    pub db: u32,
    /// The command's name and arguments.
    pub args: Vec<Bytes>,
    /// Whether it is journaled unchanged, on the shard of its first argument, and ignored by the model.
    pub raw: bool,
}

impl Op {
    /// A command in database 0.
    pub fn new<A: Into<Bytes>>(args: impl IntoIterator<Item = A>) -> Self {
        Self { db: 0, args: args.into_iter().map(Into::into).collect(), raw: false }
    }

    /// A command in database 0, split at spaces. So its arguments cannot contain spaces.
    pub fn line(line: &str) -> Self {
        Self::new(line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())))
    }

    /// The same command as a record that the model ignores. [`MasterOptions::values`](crate::MasterOptions::values) must
    /// supply the resulting values of its keys.
    #[must_use]
    pub fn raw(self) -> Self {
        Self { raw: true, ..self }
    }

    /// The same command in another database.
    #[must_use]
    pub fn in_db(self, db: u32) -> Self {
        Self { db, ..self }
    }

    /// The command's name in upper case.
    pub(crate) fn name(&self) -> Vec<u8> {
        self.args.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default()
    }

    /// The arguments after the name.
    pub(crate) fn rest(&self) -> &[Bytes] {
        self.args.get(1..).unwrap_or_default()
    }
}

impl From<&str> for Op {
    fn from(line: &str) -> Self {
        Self::line(line)
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.args.iter().map(|arg| arg.escape_ascii().to_string()).collect();
        write!(f, "db {}: {}", self.db, words.join(" "))
    }
}
