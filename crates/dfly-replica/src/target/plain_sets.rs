//! Runs of plain SETs become MSETs. A translator marks none for a target that refuses MSET.

use dfly_translate::CommandFacts;
use redis_resp::{CommandBatch, EncodedCommand, MergeRule};
use redis_sink::cluster::Split;

/// The most SETs that become one MSET. Of 32 and more, each costs a target three quarters of what it costs alone.
const MERGED: usize = 64;

const RULE: MergeRule<'static, fn(u64) -> bool> =
    MergeRule { name: b"MSET", most: MERGED, is_part: is_plain };

fn is_plain(tag: u64) -> bool {
    CommandFacts::from_tag(tag).is_plain_set
}

/// Merges those of a batch.
pub(crate) fn merge(batch: &mut CommandBatch) {
    batch.merge(&RULE);
}

/// Merges those of `batch`, and moves all of it to the end of `framed`.
pub(crate) fn append_merged(framed: &mut CommandBatch, batch: &mut CommandBatch) {
    framed.append_merged(batch, &RULE);
}

/// Merges those among the commands that `command` returns for 0, 1 and so on until it returns `None`, and adds all of them to
/// `out`. Returns how many commands were added.
pub(crate) fn push_merged<'a>(
    out: &mut CommandBatch,
    command: impl Fn(usize) -> Option<EncodedCommand<'a>>,
) -> usize {
    out.push_merged(command, &RULE)
}

/// Takes such an MSET apart again.
pub(crate) fn split() -> Split {
    Split::new(|command, out| {
        if !is_plain(command.tag()) || command.keys().nth(1).is_none() {
            return;
        }
        let mut words = command.arguments().skip(1);
        while let (Some(key), Some(value)) = (words.next(), words.next()) {
            out.push_keyed(&[b"SET", key, value], 1..2, command.tag());
        }
    })
}

#[cfg(test)]
mod tests {
    use dfly_wire::DbIndex;

    use super::*;

    #[test]
    fn a_merged_command_comes_apart_again() {
        let plain = CommandFacts::data(DbIndex(0)).idempotent().plain_set(true).tag();
        let other = CommandFacts::data(DbIndex(0)).idempotent().tag();
        let mut sets = CommandBatch::default();
        for (key, value) in [("a", "1"), ("", ""), ("a", "3")] {
            sets.push_keyed(&[b"SET", key.as_bytes(), value.as_bytes()], 1..2, plain);
        }
        let (before, mut merged) = (sets.clone().take(), sets);
        merge(&mut merged);
        assert_eq!(merged.len(), 1);
        assert_eq!(merged.command(0).and_then(|mset| split().of(mset)), Some(before.clone()));
        assert_eq!(before.command(0).and_then(|set| split().of(set)), None, "there is nothing to take apart");
        merged.push_keyed(&[b"MSET", b"a", b"1", b"b", b"2"], 1..2, other);
        assert_eq!(
            merged.command(1).and_then(|mset| split().of(mset)),
            None,
            "a record of the source stays whole"
        );
    }
}
