//! What is asked of a source: one list of commands, each with what it is for and what happens without it.

/// A command that is sent to a source.
#[derive(Debug, Clone, Copy)]
pub struct SourceCommand {
    /// Its name, with its subcommand if it has one.
    pub name: &'static str,
    /// How it is used.
    pub(crate) used: &'static [&'static str],
    /// A form that changes nothing.
    pub(crate) harmless: &'static [&'static str],
    /// What it is for, as the end of "it is needed ..".
    pub purpose: &'static str,
    /// What happens without it.
    pub without: &'static str,
    pub(crate) known: Known,
}

/// Which sources know a command. Of one that a source does not know, nothing is said unless every source knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Every Dragonfly: only a user lacks it.
    ByAll,
    /// Every Dragonfly, but it may be switched off or renamed.
    Usually,
    /// Later releases, or it belongs to what is asked if it is there.
    BySome,
}

const fn command(
    name: &'static str,
    used: &'static [&'static str],
    purpose: &'static str,
    without: &'static str,
) -> SourceCommand {
    SourceCommand { name, used, harmless: used, purpose, without, known: Known::Usually }
}

const fn compared(name: &'static str, used: &'static [&'static str]) -> SourceCommand {
    SourceCommand { known: Known::BySome, ..command(name, used, COMPARE, NOT_COMPARED) }
}

const fn by_all(command: SourceCommand) -> SourceCommand {
    SourceCommand { known: Known::ByAll, ..command }
}

const fn by_some(command: SourceCommand) -> SourceCommand {
    SourceCommand { known: Known::BySome, ..command }
}

/// A reserved name that no key has.
const KEY: &str = "df2redis:probe:nothing";

const WRITTEN_TO: &str = "to read keys again that are written to all the time";
const UNREAD: &str = "such keys fall under --on-unsupported once they have to be refetched";
const REFETCHED: &str = "keys that have to be refetched fall under --on-unsupported";
const EXPIRIES: &str = "to read expiries again";
const LOOK: &str = "to look at keys before a start, and to compare";
const COMPARE: &str = "to compare values with the target";
const NOT_COMPARED: &str =
    "check reads such values in another way, and counts those for which there is none as not compared";
const STOP: &str = "to stop writes at a cutover";
const NOT_STOPPED: &str = "a cutover cannot stop them: stop the applications yourself (cutover --method none), or let the source shut down (--method takeover)";
const NOT_LOOKED_AT: &str = "it is not looked at before a start";

/// Requests that a run, a comparison, a cutover and the checks before a start send.
pub(crate) const SOURCE_COMMANDS: &[SourceCommand] = &[
    command(
        "INFO",
        &["INFO", "server"],
        "to tell role, release and keys",
        "a switchover is noticed late, and the release is not known",
    ),
    command("SELECT", &["SELECT", "0"], "to read keys of other databases again", REFETCHED),
    command(
        "DUMP",
        &["DUMP", KEY],
        "to read keys again",
        "keys that have to be refetched fall under --on-unsupported (unreadable-key)",
    ),
    command("EXISTS", &["EXISTS", KEY], "to see which keys are gone", REFETCHED),
    command("PEXPIRETIME", &["PEXPIRETIME", KEY], EXPIRIES, REFETCHED),
    command("PTTL", &["PTTL", KEY], EXPIRIES, REFETCHED),
    command(
        "TIME",
        &["TIME"],
        "to hear the source's clock",
        "what has expired is decided by this host's clock",
    ),
    command(
        "SCAN",
        &["SCAN", "0", "COUNT", "1"],
        LOOK,
        "nothing is known of keys and sizes, and check cannot compare",
    ),
    command("TYPE", &["TYPE", KEY], LOOK, "nothing is known of types, and check cannot compare"),
    by_some(command(
        "MEMORY USAGE",
        &["MEMORY", "USAGE", KEY],
        "to tell how large a value is before it is read",
        "keys are refetched one at a time, and check reads large values whole",
    )),
    command(
        "DFLY",
        &["DFLY", "REPLICAOFFSET"],
        "to replicate, and to tell positions",
        "no replication, and no lag is told",
    ),
    by_all(command("WATCH", &["WATCH", KEY], WRITTEN_TO, UNREAD)),
    by_all(command("MULTI", &["MULTI"], WRITTEN_TO, UNREAD)),
    // It ends what the two before have begun.
    by_all(command("EXEC", &["EXEC"], WRITTEN_TO, UNREAD)),
    SourceCommand {
        harmless: &["CLIENT", "GETNAME"],
        ..command("CLIENT PAUSE", &["CLIENT", "PAUSE", "2000", "WRITE"], STOP, NOT_STOPPED)
    },
    SourceCommand {
        harmless: &["CLIENT", "GETNAME"],
        ..command("CLIENT UNPAUSE", &["CLIENT", "UNPAUSE"], STOP, NOT_STOPPED)
    },
    compared("STRLEN", &["STRLEN", KEY]),
    compared("GETRANGE", &["GETRANGE", KEY, "0", "1"]),
    compared("MGET", &["MGET", KEY]),
    compared("LLEN", &["LLEN", KEY]),
    compared("LRANGE", &["LRANGE", KEY, "0", "1"]),
    compared("SCARD", &["SCARD", KEY]),
    compared("SSCAN", &["SSCAN", KEY, "0"]),
    compared("SMEMBERS", &["SMEMBERS", KEY]),
    compared("SMISMEMBER", &["SMISMEMBER", KEY, "m"]),
    compared("HLEN", &["HLEN", KEY]),
    compared("HSCAN", &["HSCAN", KEY, "0"]),
    compared("HGETALL", &["HGETALL", KEY]),
    compared("HMGET", &["HMGET", KEY, "f"]),
    compared("ZCARD", &["ZCARD", KEY]),
    compared("ZSCAN", &["ZSCAN", KEY, "0"]),
    compared("ZRANGE", &["ZRANGE", KEY, "0", "1"]),
    compared("ZMSCORE", &["ZMSCORE", KEY, "m"]),
    compared("XLEN", &["XLEN", KEY]),
    compared("XRANGE", &["XRANGE", KEY, "-", "+"]),
    compared("XPENDING", &["XPENDING", KEY, "g"]),
    compared("XINFO", &["XINFO", "STREAM", KEY]),
    compared("HPEXPIRETIME", &["HPEXPIRETIME", KEY, "FIELDS", "1", "f"]),
    compared("FIELDTTL", &["FIELDTTL", KEY, "f"]),
    compared("JSON.GET", &["JSON.GET", KEY]),
    by_some(command(
        "CONFIG GET",
        &["CONFIG", "GET", "maxmemory"],
        "to look at the source's settings before a start",
        "its memory limit, backlog and databases are taken to be the defaults",
    )),
    by_some(command(
        "FUNCTION LIST",
        &["FUNCTION", "LIST"],
        "to count libraries of functions",
        NOT_LOOKED_AT,
    )),
    by_some(command("ACL LIST", &["ACL", "LIST"], "to count users", NOT_LOOKED_AT)),
    by_some(command("FT._LIST", &["FT._LIST"], "to count search indices", NOT_LOOKED_AT)),
];

/// The commands that are sent to a source.
pub fn source_commands() -> &'static [SourceCommand] {
    SOURCE_COMMANDS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_is_there_once_and_begins_with_its_name() {
        let names: BTreeSet<&str> = SOURCE_COMMANDS.iter().map(|command| command.name).collect();
        assert_eq!(names.len(), SOURCE_COMMANDS.len());
        for SourceCommand { name, used, harmless, .. } in SOURCE_COMMANDS {
            assert!(used.join(" ").starts_with(name), "{name}");
            assert_eq!(used.first(), harmless.first(), "{name}");
        }
    }
}
