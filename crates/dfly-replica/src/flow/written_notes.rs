//! Notes of the keys that a first synchronisation writes, ahead of the keys themselves (`checkpoint/written_keys.rs`). Pure.

use std::sync::Arc;

use dfly_translate::{CommandFacts, CommandKind, ReservedNames, Target};
use dfly_wire::DbIndex;
use redis_resp::CommandBatch;

use crate::checkpoint::written_keys::WrittenKeys;
use crate::target::plain_sets;

/// What a flow notes.
#[derive(Debug)]
pub(crate) struct WrittenNotes {
    /// The list on the target.
    list: String,
    /// What a session before has noted.
    known: Arc<WrittenKeys>,
    /// Whether the list is needed behind the flow's snapshot: keys of the target are in question.
    outlasts: bool,
    /// The database that the connection is in ahead of the next batch.
    db: DbIndex,
    /// Of the batch that is looked at.
    digests: Vec<u8>,
    front: CommandBatch,
}

impl WrittenNotes {
    pub(crate) fn new(names: &ReservedNames, flow: u16, known: Arc<WrittenKeys>, outlasts: bool) -> Self {
        Self {
            list: names.written(flow),
            known,
            outlasts,
            db: DbIndex(0),
            digests: Vec::new(),
            front: CommandBatch::default(),
        }
    }

    /// Whether the list is needed behind the flow's snapshot.
    pub(crate) fn outlast_snapshot(&self) -> bool {
        self.outlasts
    }

    /// Puts the note of the keys of a batch for `target` ahead of it. Runs of plain SETs become MSETs on the way, unless the batch
    /// is yet to be cut by slot.
    pub(crate) fn precede(&mut self, batch: &mut CommandBatch, target: &Target) {
        let (before, after) = (self.db, self.collect(batch));
        self.db = after;
        if self.digests.is_empty() {
            return;
        }
        self.select(before, DbIndex(0));
        let words = [b"RPUSH", self.list.as_bytes(), &self.digests];
        self.front.push_keyed(&words, 1..2, CommandFacts::side_key(DbIndex(0)).idempotent().tag());
        self.select(DbIndex(0), before);
        if target.is_cluster() {
            self.front.append(batch);
        } else {
            plain_sets::append_merged(&mut self.front, batch);
        }
        std::mem::swap(&mut self.front, batch);
    }

    /// Finds the keys of the batch, and gives the database that the connection is in behind it.
    fn collect(&mut self, batch: &CommandBatch) -> DbIndex {
        self.digests.clear();
        let (mut db, mut last) = (self.db, None);
        for command in batch.iter() {
            let facts = CommandFacts::of(command);
            db = facts.db;
            for key in command.keys().filter(|key| !ReservedNames::is_reserved(key)) {
                let Some(entry) = self.known.entry_of(db, key) else { continue };
                // Parts of one large value come one behind the other.
                if last != Some(entry) {
                    self.digests.extend(entry);
                }
                last = Some(entry);
            }
        }
        db
    }

    fn select(&mut self, from: DbIndex, to: DbIndex) {
        if from != to {
            let facts = CommandFacts::new(CommandKind::Control, to);
            self.front.start(2).arg(b"SELECT").int(i64::from(to.0)).finish_with(facts.tag());
        }
    }

    /// The command that removes the list.
    pub(crate) fn forget(names: &ReservedNames, flow: u16, out: &mut CommandBatch) {
        let facts = CommandFacts::side_key(DbIndex(0)).idempotent();
        out.push_keyed(&[b"UNLINK", names.written(flow).as_bytes()], 1..2, facts.tag());
    }
}

#[cfg(test)]
mod tests {
    use dfly_rdb::Family;
    use dfly_rdb::payload::TargetFormat;

    use super::*;

    fn target() -> Target {
        Target::plain(TargetFormat { family: Family::Redis, version: (7, 0) })
    }

    fn shown(batch: &CommandBatch) -> Vec<String> {
        let word = |word: &[u8]| word.escape_ascii().to_string();
        batch.iter().map(|command| command.arguments().map(word).collect::<Vec<_>>().join(" ")).collect()
    }

    /// C33: the digests are there before the keys are, and the keys go where they went without them.
    #[test]
    fn digests_come_ahead_of_the_keys() {
        let mut notes = WrittenNotes::new(&ReservedNames::default(), 3, Arc::default(), false);
        let server = target();
        let in_db = |db| CommandFacts::side_key(DbIndex(db)).tag();
        let mut batch = CommandBatch::default();
        batch.push_keyed(&[b"SET", b"a", b"1"], 1..2, in_db(0));
        batch.start(2).arg(b"SELECT").int(2).finish_with(in_db(2));
        batch.push_keyed(&[b"RPUSH", b"b", b"1"], 1..2, in_db(2));
        batch.push_keyed(&[b"RPUSH", b"b", b"2"], 1..2, in_db(2));
        batch.push_keyed(&[b"SADD", b"df2redis:kept", b"2"], 1..2, in_db(2));
        notes.precede(&mut batch, &server);
        let lines = shown(&batch);
        assert!(lines[0].starts_with("RPUSH df2redis:written:3 "), "{lines:?}");
        assert_eq!(lines[1..3], ["SET a 1", "SELECT 2"]);
        assert_eq!(batch.command(0).unwrap().arguments().last().unwrap().len(), 8);
        batch.truncate(0);
        batch.push_keyed(&[b"SET", b"c", b"1"], 1..2, in_db(2));
        notes.precede(&mut batch, &server);
        let lines = shown(&batch);
        assert_eq!(
            (lines[0].as_str(), lines[2].as_str(), lines[3].as_str()),
            ("SELECT 0", "SELECT 2", "SET c 1")
        );
        batch.truncate(0);
        batch.push_keyed(&[b"SADD", b"df2redis:kept", b"2"], 1..2, in_db(2));
        notes.precede(&mut batch, &server);
        assert_eq!(batch.len(), 1, "nothing to note");
    }

    /// A cluster's batch is cut by slot first, so its SETs stay apart until then.
    #[test]
    fn sets_of_a_batch_for_a_server_become_one() {
        let plain = CommandFacts::value(DbIndex(0)).idempotent().plain_set(true).tag();
        for (target, expected) in [(target(), 2), (target().in_cluster(), 3)] {
            let mut notes = WrittenNotes::new(&ReservedNames::default(), 3, Arc::default(), false);
            let mut batch = CommandBatch::default();
            batch.push_keyed(&[b"SET", b"a", b"1"], 1..2, plain);
            batch.push_keyed(&[b"SET", b"b", b"1"], 1..2, plain);
            notes.precede(&mut batch, &target);
            assert_eq!(batch.len(), expected);
        }
    }
}
