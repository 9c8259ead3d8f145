//! The table for people.

use std::fmt::Write;

use crate::rows::Row;

const HEAD: &str = "# What becomes of each command and type

Generated from the facts in `crates/dfly-translate/data/commands.txt`; do not edit. A record that is not in the table is never
guessed: it counts as `unknown-command`, one with fewer arguments as `malformed-record`. What is left out falls under
`--on-unsupported`, by the name in parentheses: `--on-unsupported skip`, or `--on-unsupported warn,bloom=skip,json=string`.

*Read again*: the record does not say what the source did, or says it in a way that no Redis can follow; the key's value is read
from the source and takes the place of what the target has, in step with the journal. Without that (in the library, where nobody
serves the queue) it is left out under the name given.

*Repeats*: whether carrying the record out a second time, at once, changes nothing.

## Types

| type | Redis 6.2 to 7.2, Valkey 8 | Redis 7.4 and later, Valkey 9 | with the module | in a cluster |
|---|---|---|---|---|
| string, list, zset | the same | the same | | the same |
| stream | the same; Redis 6.2 does not count what a group has read, nor what the stream ever had | the same | | the same |
| hash | the same; fields with an expiry are removed by df2redis when they are due (`member-ttl=emulate`), for as long as it runs | the same, with the expiry of fields | | the same |
| set | the same; members with an expiry are removed by df2redis when they are due (`member-ttl=emulate`), for as long as it runs | likewise | | the same |
| JSON | left out (`json`), or its text as a string (`json=string`) | likewise | a document | likewise |
| Bloom, Cuckoo, count-min, Top-K | left out (`bloom`, `cuckoo`, `count-min-sketch`, `top-k`) | likewise | what the snapshot holds is left out: the modules hash otherwise than Dragonfly, so its bits mean nothing to them, and later changes of such a key are left out too; what is made after the snapshot is kept | likewise |
| function library | loaded from Redis 7.0 on, left out before (`function`) | loaded | | loaded |
| search index | left out (`search-index`) | likewise | left out | left out |

That a key is never evicted (`sticky`) and a memcached client's flags (`memcache-flags`) are counted and never stop a run: no data is
lost.

## Commands

| command | keys | arguments at least | repeats | since Dragonfly | on the target | in a cluster, with keys in different slots |
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

fn fate(row: &Row) -> String {
    let text = match row.rule {
        "verbatim" => "the same",
        "sort-store" => {
            "the same, and the stored key is read again: a Redis sorts and measures otherwise, and deletes it for a missing source; with one key alone, as a master with several shards writes it: only read again (`truncated-record`); nothing without STORE"
        }
        "pexpireat" => {
            "the same; `PERSIST` for the time 0, which is how a memcached client's touch without expiry is written"
        }
        "xclaim" => {
            "the same behind `XGROUP CREATECONSUMER`, as the source makes the consumer in any case; XCLAIM with `TIME`, that of the record's arrival if it has none. Whether an entry was idle for long enough is decided anew"
        }
        "xgroup" => {
            "the same; `CREATE` without `ENTRIESREAD`, which the source takes no notice of; on Redis 6.2 without it at all"
        }
        "store" => {
            "the same; with one key alone, as a master with several shards writes it: read again (`truncated-record`)"
        }
        "store-all" => "read again (`truncated-record`)",
        "set" => {
            "a HyperLogLog of PFMERGE is read again (`hyperloglog`), as its expiry is not in the record; otherwise `SET` with `PXAT` or `KEEPTTL`; `STICK` and `_MCFLAGS` are left out (`sticky`, `memcache-flags`)"
        }
        "zadd" => {
            "the same; behind a `DEL` of the same transaction, as Z*STORE is written, with six digits: read again too"
        }
        "incrbyfloat" | "hincrbyfloat" => "a script that calculates and formats as the source does",
        "prepend" => "a script; the expiry stays",
        "rename" => "a script; the new name is deleted if the old one was left out",
        "renamenx" => "a script; nothing if the old name was left out",
        "move" => "the same, with the databases of `--map-db`",
        "restore" => {
            "`RESTORE .. REPLACE ABSTTL` of the value written anew for the target, or the commands of such a value in the snapshot"
        }
        "delex" => "`DEL`; with IFEQ or IFNE a script; with a digest: read again (`command-form`)",
        "pops" => "read again (`command-form`): each flow gets its own keys",
        "saddex" => "a script; due times are kept beside the key",
        "hsetex" => {
            "a script, in either syntax; `HPEXPIREAT` within it on Redis 7.4, Valkey 9 and later, due times beside the key before"
        }
        "hexpire" | "hgetex" => {
            "a script; `HPEXPIREAT` or `HPERSIST` within it on Redis 7.4, Valkey 9 and later, due times beside the key before"
        }
        "fieldexpire" => "a script; due times beside the key for sets, and for hashes as HEXPIRE",
        "stream-counters" => {
            "the same; on Redis 6.2 without `ENTRIESREAD`, `ENTRIESADDED` and `MAXDELETEDID`"
        }
        "json" => "the same with the module; with `json=string`: read again; otherwise left out (`json`)",
        "json-set" => {
            "the same with the module; with `json=string`: `SET` for a whole document, read again for a part; otherwise left out (`json`), and what the key held before is deleted"
        }
        "sketch" => {
            return format!("the same with the module, left out without it (`{}`)", loss(row.works_on));
        }
        "cms-merge" => {
            "the same with the module, left out without it (`count-min-sketch`), and with one key alone (`truncated-record`)"
        }
        "nothing" => "nothing: no data changes",
        "stick" => "left out (`sticky`)",
        "flushall" => {
            "`FLUSHALL`, once, behind a barrier over all flows; of a part of the keys where only a part is taken"
        }
        "flushdb" => {
            "`FLUSHDB` in its database, once, behind a barrier over all flows; of a part of the keys where only a part is taken"
        }
        "dflycluster" => "`FLUSHSLOTS`: left out (`flush-slots`)",
        lost if lost.starts_with("lost:") => return format!("left out (`{}`)", &lost[5..]),
        other => panic!("no text for {other}"),
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
        "1.." | "1../2" | "1../3" if row.rule != "store-all" && row.name != "MSETNX" => "one for each slot",
        "1-2" | "1../2" | "#1" => "read again (`torn-record`)",
        _ if stores => "read again (`torn-record`)",
        _ => "",
    }
}
