//! Transactions that are carried out only if the target stands where they follow and nobody else has claimed it. So what was
//! sent and not answered can be sent again, and what a killed process had still on its way does nothing behind the next
//! one's back. Pure.

use dfly_client::FlowId;
use dfly_translate::{CommandFacts, CommandKind, ReservedNames};
use dfly_wire::DbIndex;
use redis_resp::{CommandBatch, ServerError};

use crate::checkpoint::fields;
use crate::checkpoint::{Position, WriterIdentity};

/// Touches the watched key (KEYS[2]) unless a flow's field (ARGV[1]), the source and the owner are as expected: then EXEC
/// does nothing.
const CHECK: &str = "local v=redis.call('HMGET',KEYS[1],ARGV[1],'source','owner') \
     if v[1]~=ARGV[2] or v[2]~=ARGV[3] or v[3]~=ARGV[4] then redis.call('SET',KEYS[2],'') redis.call('DEL',KEYS[2]) end";

/// What the server answers to [`LOOK`] if it does not hold what it should.
const FORGOTTEN: &str = "FORGOTTEN";

/// Looks whether the server (KEYS[1]) holds the flow's position (ARGV[1] to ARGV[4], as in [`CHECK`]).
const LOOK: &str = "local v=redis.call('HMGET',KEYS[1],ARGV[1],'source','owner') \
     if v[1]~=ARGV[2] or v[2]~=ARGV[3] or v[3]~=ARGV[4] then return redis.error_reply('FORGOTTEN the position is gone') end";

/// The tag of a command that begins or ends a transaction.
const CONTROL: u64 = CommandFacts::new(CommandKind::Control, DbIndex(0)).tag();

/// What guards the transactions of one flow.
#[derive(Debug)]
pub(crate) struct Guard {
    names: ReservedNames,
    flow: FlowId,
    identity: WriterIdentity,
    /// The key that transactions watch. It never holds anything.
    watched: String,
    field: String,
}

impl Guard {
    pub(crate) fn new(names: &ReservedNames, flow: FlowId, identity: WriterIdentity) -> Self {
        let (watched, field) = (names.guard(flow.0), fields::field(flow));
        Self { names: names.clone(), flow, identity, watched, field }
    }

    /// The hash that holds the positions.
    pub(crate) fn checkpoint(&self) -> &str {
        self.names.checkpoint()
    }

    pub(crate) fn identity(&self) -> &WriterIdentity {
        &self.identity
    }

    /// The head of a transaction that follows `expected`. The connection is in database 0.
    pub(crate) fn open(&self, expected: Position, out: &mut CommandBatch) {
        out.push_keyed(&[b"WATCH", self.watched.as_bytes()], 1..2, CONTROL);
        let mut check = out.start(9);
        check.arg(b"EVAL").arg(CHECK.as_bytes()).int(2);
        check.key(self.names.checkpoint().as_bytes()).key(self.watched.as_bytes());
        check.arg(self.field.as_bytes()).arg(expected.to_string().as_bytes());
        check.arg(self.identity.source_id.as_bytes()).arg(self.identity.owner.as_bytes());
        check.finish_with(CONTROL);
        out.push_keyed(&[b"MULTI"], 0..0, CONTROL);
    }

    /// A command that is refused ([`is_forgotten`]) unless the server still holds `at`. The connection is in database 0.
    pub(crate) fn look(&self, at: Position, out: &mut CommandBatch) {
        let mut look = out.start(8);
        look.arg(b"EVAL").arg(LOOK.as_bytes()).int(1).key(self.names.checkpoint().as_bytes());
        look.arg(self.field.as_bytes()).arg(at.to_string().as_bytes());
        look.arg(self.identity.source_id.as_bytes()).arg(self.identity.owner.as_bytes());
        look.finish_with(CONTROL);
    }

    /// The end of a transaction that moves the flow to `at`. The connection is in database 0.
    pub(crate) fn close(&self, at: Position, out: &mut CommandBatch) {
        fields::write_position(&self.names, self.flow, at, out);
        self.exec(out);
    }

    /// The end of a transaction that has written the positions itself.
    pub(crate) fn exec(&self, out: &mut CommandBatch) {
        out.push_keyed(&[b"EXEC"], 0..0, CONTROL);
    }
}

/// Whether the server has refused [`Guard::look`].
pub(crate) fn is_forgotten(error: &ServerError) -> bool {
    error.line.starts_with(FORGOTTEN)
}
