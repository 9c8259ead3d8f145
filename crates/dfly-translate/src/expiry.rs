//! What a journaled command does to the expiry of the keys that it names.

use dfly_journal::Command;
use dfly_wire::UnixMillis;

use crate::translator::{is_root, number};

/// The expiry of a command's keys after it has been carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyExpiry {
    /// Unchanged.
    Kept,
    /// The keys have no expiry, or they no longer exist.
    Never,
    /// This time.
    At(UnixMillis),
    /// The second key, or the key in the other database, gets the expiry of the first key.
    Carried,
}

/// What a command that was received at `now` does to the expiry of its keys. Expiries of members and fields are not
/// considered.
pub fn key_expiry(command: &Command, now: UnixMillis) -> KeyExpiry {
    let args = &command.args;
    let arg = |at: usize| args.get(at).unwrap_or_default();
    match args.name() {
        b"SET" if args.len() == 3 => KeyExpiry::Never,
        b"SET" => of_set(command),
        b"PEXPIREAT" => number(arg(2)).map_or(KeyExpiry::Kept, at),
        b"RESTORE" => match number(arg(2)) {
            Some(ttl @ 1..) if !args.iter().skip(4).any(|option| option.eq_ignore_ascii_case(b"ABSTTL")) => {
                at(now.0.saturating_add(ttl))
            }
            Some(ttl) => at(ttl),
            None => KeyExpiry::Kept,
        },
        b"DEL" | b"UNLINK" | b"GETDEL" | b"MSET" | b"PERSIST" => KeyExpiry::Never,
        b"JSON.SET"
            if is_root(arg(2)) && !args.iter().skip(4).any(|word| word.eq_ignore_ascii_case(b"NX")) =>
        {
            KeyExpiry::Never
        }
        b"RENAME" | b"RENAMENX" | b"MOVE" => KeyExpiry::Carried,
        _ => KeyExpiry::Kept,
    }
}

/// Time 0 stands for never.
fn at(millis: i64) -> KeyExpiry {
    if millis == 0 { KeyExpiry::Never } else { KeyExpiry::At(UnixMillis(millis)) }
}

/// The master journals absolute times only (protocol section 3.8).
fn of_set(command: &Command) -> KeyExpiry {
    let mut options = command.args.iter().skip(3);
    while let Some(option) = options.next() {
        match option {
            b"KEEPTTL" => return KeyExpiry::Kept,
            b"PXAT" => return options.next().and_then(number).map_or(KeyExpiry::Kept, at),
            _ => {}
        }
    }
    KeyExpiry::Never
}

#[cfg(test)]
mod tests {
    use dfly_journal::{Args, TxId};
    use dfly_wire::DbIndex;

    use super::*;

    #[test]
    fn by_command() {
        let at = |millis| KeyExpiry::At(UnixMillis(millis));
        for (line, expiry) in [
            ("SET k v", KeyExpiry::Never),
            ("SET k v KEEPTTL", KeyExpiry::Kept),
            ("SET k v STICK PXAT 70000", at(70_000)),
            ("SET k v _MCFLAGS 7", KeyExpiry::Never),
            ("GETDEL k", KeyExpiry::Never),
            ("PEXPIREAT k 80000", at(80_000)),
            ("PEXPIREAT k 0", KeyExpiry::Never),
            ("PEXPIREAT k soon", KeyExpiry::Kept),
            ("RESTORE k 0 payload REPLACE ABSTTL", KeyExpiry::Never),
            ("RESTORE k 90000 payload REPLACE ABSTTL", at(90_000)),
            ("RESTORE k 500 payload REPLACE", at(1_500)),
            ("RENAME k l", KeyExpiry::Carried),
            ("MOVE k 3", KeyExpiry::Carried),
            ("JSON.SET k $ 1", KeyExpiry::Never),
            ("JSON.SET k $ 1 NX", KeyExpiry::Kept),
            ("JSON.SET k $.a 1", KeyExpiry::Kept),
            ("DEL k l", KeyExpiry::Never),
            ("HSET k f v", KeyExpiry::Kept),
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            let command = Command { db: DbIndex(0), txid: TxId(0), args: Args::of(&words) };
            assert_eq!(key_expiry(&command, UnixMillis(1_000)), expiry, "{line}");
        }
    }
}
