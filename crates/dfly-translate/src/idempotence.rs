//! Which commands for the target may be retried after they and later commands have been carried out.

/// ZADD options that make the command depend on existing data.
const CONDITIONS: [&[u8]; 6] = [b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"];

/// Whether a command with these words, name first, only sets what it names (a key, a field, a member, a bit), whatever was
/// there before. If any part of a sequence of such commands has been carried out, a retry of the whole sequence leaves the
/// same data.
///
/// SREM, HDEL and ZREM are not idempotent. When such a command removes the last member, it also removes the key and its
/// expiry. In a retry, a member may be the last one although it was not the first time. PEXPIREAT is not idempotent,
/// because it sets something that DEL and similar commands remove.
pub(crate) fn is_idempotent<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let mut words = words.into_iter();
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

/// `RESTORE key time payload REPLACE [ABSTTL]`, with an absolute time or none.
fn is_replacing<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut is_fixed = words.nth(1) == Some(b"0");
    let mut replaces = false;
    for option in words.skip(1) {
        is_fixed |= option.eq_ignore_ascii_case(b"ABSTTL");
        replaces |= option.eq_ignore_ascii_case(b"REPLACE");
    }
    is_fixed && replaces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_commands_are_idempotent() {
        let holds = |line: &str| is_idempotent(line.split(' ').map(str::as_bytes));
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
        assert!(!is_idempotent([]));
    }
}
