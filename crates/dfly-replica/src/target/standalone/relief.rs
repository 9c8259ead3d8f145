//! What can be removed at once from a server that is out of memory, although other commands wait (C31). Pure.

use std::collections::BTreeSet;

use dfly_translate::{CommandFacts, CommandKind};
use redis_resp::EncodedCommand;

use crate::keys::TargetKey;

/// The most keys that are removed so at a time.
const MOST: usize = 4096;

/// The keys of deletions that may go before the commands in front of them: nothing that waits names them before. Each deletion
/// is repeated in its place.
pub(super) fn early_deletions<'a>(in_flight: impl Iterator<Item = EncodedCommand<'a>>) -> Vec<TargetKey> {
    let (mut named, mut found) = (BTreeSet::new(), Vec::new());
    for command in in_flight {
        let is_deletion = is_deletion(command);
        for key in TargetKey::of_command(command) {
            let is_first = named.insert(key.clone());
            if is_deletion && is_first && found.len() < MOST {
                found.push(key);
            }
        }
    }
    found
}

fn is_deletion(command: EncodedCommand<'_>) -> bool {
    let is_named = matches!(command.arguments().next(), Some(b"DEL" | b"UNLINK"));
    is_named && CommandFacts::of(command).kind == CommandKind::Data
}

#[cfg(test)]
mod tests {
    use dfly_wire::DbIndex;
    use redis_resp::CommandBatch;

    use super::*;

    fn deletions(lines: &[(u32, &str)]) -> Vec<String> {
        let mut batch = CommandBatch::default();
        for (db, line) in lines {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let keys = if words[0] == b"SET" { 1..2 } else { 1..words.len() };
            let facts = CommandFacts::new(CommandKind::Data, DbIndex(*db));
            batch.push_keyed(&words, keys, facts.tag());
        }
        let commands = batch.take();
        let found = early_deletions(commands.iter());
        found.iter().map(|key| format!("{}:{}", key.db, key.name.escape_ascii())).collect()
    }

    #[test]
    fn nothing_that_waits_names_them_before() {
        let lines =
            [(0, "SET a v"), (0, "DEL a b"), (0, "RENAME c d"), (0, "DEL d"), (0, "DEL e"), (0, "SET e v")];
        assert_eq!(deletions(&lines), ["0:b", "0:e"]);
        assert_eq!(deletions(&[(0, "SET a v"), (3, "UNLINK a"), (0, "DEL df2redis:due:0")]), ["3:a"]);
    }
}
