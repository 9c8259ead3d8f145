//! The table as a page for people.

use std::fmt::Write;

use crate::rows::Row;

const HEAD: &str = "# How each type and command is replicated

Generated from the facts in `crates/dfly-translate/data/commands.txt`; do not edit. A record that is not in the table is never
guessed: those of its arguments that may be keys are refetched, and without any, it counts as `unknown-command`. `--command-alias`
names the command that it stands for. A record with too few arguments counts as `malformed-record`. `--on-unsupported` says what
to do about what is left out, by the name in parentheses: `--on-unsupported skip` or
`--on-unsupported warn,bloom=skip,json=string`.

*refetched*: The record does not say what the source did, or says it in a way that Redis cannot repeat. So the key's value is read
from the source and replaces the value on the target, in step with the journal. If refetches are not served (the library does not
require it), the record is left out under the name in parentheses.

*repeats*: Whether carrying out the record again immediately changes nothing.

## Types

| type | Redis 6.2 to 7.2, Valkey 8 | Redis 7.4 and later, Valkey 9 | with the module | in a cluster |
|---|---|---|---|---|
| string, list, zset | the same | the same | | the same |
| stream | the same; Redis 6.2 counts neither the entries that a group has read, nor those that the stream ever had | the same | | the same |
| hash | the same; df2redis removes fields with an expiry when they are due (`member-ttl=emulate`), as long as it runs | the same, with the expiry of fields | | the same |
| set | the same; df2redis removes members with an expiry when they are due (`member-ttl=emulate`), as long as it runs | as on the left | | the same |
| JSON | left out (`json`), or stored as a string with its text (`json=string`) | as on the left | a document | as for a standalone server |
| Bloom, Cuckoo, count-min, Top-K | left out (`bloom`, `cuckoo`, `count-min-sketch`, `top-k`) | as on the left | Values in the snapshot are left out: the modules hash differently from Dragonfly, so they cannot use the bits. Later changes to such a key are left out too. Values that are created after the snapshot are replicated. | as for a standalone server |
| function library | loaded on Redis 7.0 and later, left out before (`function`) | loaded | | loaded |
| search index | left out (`search-index`) | as on the left | left out | left out |

The flag that protects a key from eviction (`sticky`) and the flags of a memcached client (`memcache-flags`) are left out and counted.
They never stop a run, because no data is lost.

## Commands

| command | keys | minimum arguments | repeats | since Dragonfly | on the target | in a cluster, with keys in different slots |
|---|---|---|---|---|---|---|
";

pub(crate) fn page(rows: &[Row]) -> String {
    let mut page = HEAD.to_owned();
    for row in rows {
        let (major, minor) = row.since;
        writeln!(
            page,
            "| {} | {} | {} | {} | {major}.{minor} | {} | {} |",
            row.name,
            keys(row.keys),
            row.args - 1,
            row.again,
            fate(row),
            in_cluster(row)
        )
        .unwrap();
    }
    page
}

fn keys(keys: &str) -> String {
    match keys {
        "-" => "none".to_owned(),
        "1.." => "1, 2, ...".to_owned(),
        "1../2" => "1, 3, ...".to_owned(),
        "1../3" => "1, 4, ...".to_owned(),
        "1-2" => "1, 2".to_owned(),
        "#1" => "as many as argument 1 says".to_owned(),
        one => one.to_owned(),
    }
}

/// What becomes of records that may not say what the source did.
fn refetched(rule: &str) -> Option<&'static str> {
    Some(match rule {
        "push" => {
            "the same; directly after a pop of the same key, which is how LMOVE and RPOPLPUSH are written, the key is refetched if it has an expiry, which the source keeps (`kept-expiry`)"
        }
        "lex-range" => {
            "a script; if scores differ, for which the range is not defined: refetched (`ambiguous-record`)"
        }
        "lrem" => {
            "the same with 1 or -1; otherwise a script, and if the element is several times in a large list, of which the source may not have removed all: refetched (`ambiguous-record`)"
        }
        "sort-store" => {
            "the same, and the stored key is refetched, because Redis sorts and measures differently, and deletes that key if the source key is missing; with only one key, as a master with several shards may write it: only refetched (`truncated-record`); nothing without STORE"
        }
        "store" => {
            "the same; with only one key, as a master with several shards may write it: refetched (`truncated-record`)"
        }
        "store-all" => "refetched (`truncated-record`)",
        "set" => {
            "`SET` with `PXAT` or `KEEPTTL`; `STICK` and `_MCFLAGS` are left out (`sticky`, `memcache-flags`); a HyperLogLog of PFMERGE is refetched (`hyperloglog`), because its expiry is not in the record; with a transaction, the key is refetched if it has an expiry, because BITOP keeps it (`kept-expiry`)"
        }
        "zadd" => {
            "the same; directly after a `DEL` with the same transaction, which is how Z*STORE is written, scores have six digits, so the key is also refetched (`six-digit-scores`); with GT or LT, which v1.40 ignores in large sets, a script, and if it is not known whether the option counted: refetched (`ambiguous-record`)"
        }
        _ => return None,
    })
}

fn fate(row: &Row) -> String {
    if let Some(text) = refetched(row.rule) {
        return text.to_owned();
    }
    let text = match row.rule {
        "verbatim" => "the same",
        "pexpireat" => {
            "the same; `PERSIST` for time 0, which Dragonfly writes when a memcached client's touch has no expiry"
        }
        "xclaim" => {
            "the same after `XGROUP CREATECONSUMER`, because the source always creates the consumer; XCLAIM gets a `TIME` if it has none: the record's arrival. The target decides again whether an entry was idle for long enough"
        }
        "xgroup" => {
            "the same; `CREATE` without `ENTRIESREAD`, which the source ignores; on Redis 6.2, all subcommands without it"
        }
        "incrbyfloat" | "hincrbyfloat" => "a script that calculates and formats like the source",
        "prepend" => "a script that keeps the expiry",
        "rename" => "a script; the new name is deleted if the old one was left out",
        "renamenx" => "a script, which does nothing if the old name was left out",
        "move" => "the same, with the databases of `--map-db`",
        "restore" => {
            "`RESTORE .. REPLACE ABSTTL` with the value encoded for the target, or the same commands as for such a value in the snapshot"
        }
        "delex" => "`DEL`; a script with IFEQ or IFNE; with a digest: refetched (`command-form`)",
        "pops" => "refetched (`command-form`), because each flow gets only its own keys",
        "saddex" => "a script; due times are kept beside the key",
        "hsetex" => {
            "a script, in either syntax; it uses `HPEXPIREAT` on Redis 7.4, Valkey 9 and later, and due times beside the key before"
        }
        "hexpire" | "hgetex" => {
            "a script; it uses `HPEXPIREAT` or `HPERSIST` on Redis 7.4, Valkey 9 and later, and due times beside the key before"
        }
        "fieldexpire" => "a script; due times are kept beside the key for sets; hashes as for HEXPIRE",
        "stream-counters" => {
            "the same; on Redis 6.2 without `ENTRIESREAD`, `ENTRIESADDED` and `MAXDELETEDID`"
        }
        "json" => {
            "the same with the module, and `PERSIST` for each whole document of JSON.MSET; with `json=string`: refetched; otherwise left out (`json`)"
        }
        "json-set" => {
            "the same with the module, and `PERSIST` if the document is a whole one; with `json=string`: refetched, or `SET` for a whole document if refetches are not served; otherwise left out (`json`), and the key's old value is deleted if the document is a whole one"
        }
        "sketch" => {
            return format!("the same with the module, left out without it (`{}`)", loss(row.works_on));
        }
        "cms-merge" => {
            "the same with the module; left out without it (`count-min-sketch`), and with only one key (`truncated-record`)"
        }
        "nothing" => "nothing: no data changes",
        "stick" => "left out (`sticky`)",
        "flushall" => {
            "`FLUSHALL`, once, after a barrier over all flows; if only some keys are replicated, only these are removed"
        }
        "flushdb" => {
            "`FLUSHDB` in its database, once, after a barrier over all flows; if only some keys are replicated, only these are removed"
        }
        "dflycluster" => {
            "`FLUSHSLOTS`: the keys of the slots are removed once every flow has passed it, as far as the source does not have them; left out (`flush-slots`) if refetches are not served"
        }
        lost if lost.starts_with("lost:") => return format!("left out (`{}`)", &lost[5..]),
        other => panic!("there is no text for the rule {other}"),
    };
    text.to_owned()
}

fn loss(works_on: &str) -> &str {
    match works_on {
        "count-min" => "count-min-sketch",
        other => other,
    }
}

fn in_cluster(row: &Row) -> &'static str {
    let stores = row.rule == "store" || row.rule == "sort-store";
    match row.keys {
        "1.." | "1../2" | "1../3" if row.rule != "store-all" && row.name != "MSETNX" => {
            "one command for each slot"
        }
        "1-2" | "1../2" | "#1" => "refetched (`torn-record`)",
        _ if stores => "refetched (`torn-record`)",
        _ => "",
    }
}
