//! Which commands for the target may be carried out again over what they, and commands like them, have left.

use redis_resp::arguments;

/// Options of ZADD that make what it does depend on what is there.
const CONDITIONS: [&[u8]; 6] = [b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"];

/// Whether a command, as it goes on the wire, only sets cells (a key, a field, a member, a bit) to what it names, whatever
/// was there. A sequence of such commands, carried out again from its start over any prefix of itself, leaves what it left
/// the first time. Not SREM, HDEL and ZREM: one that removes the last member removes the key, with its expiry, and the first
/// time it need not have been the last. Not PEXPIREAT, which sets a cell that DEL and its like remove.
pub fn sets_cells(command: &[u8]) -> bool {
    let mut words = arguments(command);
    match words.next().unwrap_or_default() {
        b"DEL" | b"UNLINK" | b"SADD" | b"HSET" | b"PERSIST" | b"SETBIT" | b"PFADD" | b"MSET" => true,
        b"SET" => is_absolute(words.skip(2)),
        b"ZADD" => words.nth(1).is_some_and(|word| !CONDITIONS.iter().any(|c| word.eq_ignore_ascii_case(c))),
        b"RESTORE" => is_replacing(words),
        _ => false,
    }
}

/// `SET key value [PXAT time]`.
fn is_absolute<'a>(mut options: impl Iterator<Item = &'a [u8]>) -> bool {
    match options.next() {
        None => true,
        Some(option) => {
            (option.eq_ignore_ascii_case(b"PXAT") || option.eq_ignore_ascii_case(b"EXAT"))
                && options.next().is_some()
                && options.next().is_none()
        }
    }
}

/// `RESTORE key time payload REPLACE [ABSTTL]`, the time being absolute or none.
fn is_replacing<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> bool {
    let is_endless = words.nth(1) == Some(b"0");
    let options: Vec<&[u8]> = words.skip(1).collect();
    let has = |name: &[u8]| options.iter().any(|option| option.eq_ignore_ascii_case(name));
    has(b"REPLACE") && (is_endless || has(b"ABSTTL"))
}

#[cfg(test)]
mod tests {
    use redis_resp::CommandBatch;

    use super::*;

    fn holds(line: &str) -> bool {
        let mut batch = CommandBatch::default();
        batch.push(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>());
        sets_cells(batch.command(0).unwrap())
    }

    #[test]
    fn what_sets_cells() {
        for line in [
            "SET k v",
            "SET k v PXAT 5",
            "DEL a b",
            "SADD k m",
            "HSET k f v",
            "ZADD k 1 m",
            "ZADD k inf m",
            "SETBIT k 1 1",
            "RESTORE k 0 x REPLACE",
            "RESTORE k 77 x REPLACE ABSTTL",
        ] {
            assert!(holds(line), "{line}");
        }
        for line in [
            "SET k v NX",
            "SET k v PX 5",
            "SET k v KEEPTTL",
            "SET k v PXAT",
            "SET k v PXAT 5 XX",
            "ZADD k NX 1 m",
            "ZADD k incr 1 m",
            "ZADD k",
            "RESTORE k 0 x",
            "RESTORE k 77 x REPLACE",
            "PEXPIREAT k 5",
            "SREM k m",
            "HDEL k f",
            "ZREM k m",
            "RPUSH k a",
            "INCR k",
            "EVAL x 1 k",
            "",
        ] {
            assert!(!holds(line), "{line}");
        }
    }
}
