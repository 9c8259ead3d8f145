//! MULTI, scripts, databases, namespaces.

use crate::quirks::form::{Form, apart, drift, quirk, same};

pub(super) const FORMS: &[Form] = &[
    same("MULTI ; SET a 1 ; SET c 2 ; INCR a ; EXEC"),
    same("MULTI ; SET a 1 ; SET d 2 ; EXEC"),
    same("MULTI ; SET a x ; INCR a ; SET c 1 ; EXEC"),
    same("MULTI ; SET a 1 ; DISCARD"),
    quirk(
        "list-pop-count",
        "RPUSH c 1 2 3 | MULTI ; LMPOP 1 c LEFT COUNT 2 ; SET a 1 ; EXEC",
        "LPOP c ; SET a 1",
    ),
    same("MULTI ; SELECT 1 ; SET a 1 ; SELECT 0 ; SET c 1 ; EXEC"),
    apart(
        "sort-store-apart",
        "MULTI ; RPUSH a 3 1 2 ; SORT a STORE c ; EXEC",
        "RPUSH a 3 1 2 ; SORT a ; SORT c",
    ),
    same("MULTI ; RPUSH a 3 1 2 ; SORT a STORE d ; EXEC"),
    quirk("set-past-expiry", "SET a 1 | MULTI ; SET a 2 PXAT 1 ; SET c 1 ; EXEC", "SET c 1"),
    apart(
        "pfmerge-copies",
        "MULTI ; PFADD a x ; PFADD c y ; PFMERGE b a c ; EXEC",
        "PFADD a x ; PFADD c y ; SET b HYLL* ; SET b HYLL* ; SET b HYLL*",
    ),
    same("SADD a x y z | MULTI ; SPOP a ; SPOP a ; SMOVE a c x ; EXEC"),
    same("MULTI ; MSET a 1 c 2 ; MSETNX b 1 g 2 ; DEL a c ; EXEC"),
    same("SET a 1 EX 100 | MULTI ; RENAME a c ; COPY c b ; MOVE b 1 ; EXEC"),
    same("MULTI ; FLUSHDB ; SET a 1 ; EXEC"),
    same("SET c 1 | MULTI ; FLUSHALL ; SET a 1 ; EXEC"),
    same("MULTI ; BLPOP a 0 ; RPUSH a 1 2 ; BLPOP a 0 ; EXEC"),
    same("XADD a 1-1 f v ; XGROUP CREATE a g 0 | MULTI ; XREADGROUP GROUP g c1 STREAMS a > ; SET c 1 ; EXEC"),
    same("ZADD a 1.23456789 x | MULTI ; ZUNIONSTORE c 1 a ; ZPOPMIN c ; EXEC"),
    drift("SADDEX a 100 x | MULTI ; FIELDEXPIRE a 200 x ; SADDEX c 50 q ; EXEC"),
    same(r#"EVAL 'redis.call("set",KEYS[1],1) redis.call("set",KEYS[2],2)' 2 a c"#),
    same(r#"EVAL 'redis.call("set",KEYS[1],1) redis.call("incr",KEYS[1])' 1 a"#),
    apart(
        "sort-store-apart",
        r#"EVAL 'redis.call("rpush",KEYS[1],3,1,2) redis.call("sort",KEYS[1],"store",KEYS[2])' 2 a c"#,
        "RPUSH a 3 1 2 ; SORT a ; SORT c",
    ),
    quirk(
        "list-pop-count",
        r#"EVAL 'redis.call("rpush",KEYS[1],3,1,2) redis.call("lmpop",1,KEYS[1],"left","count",2)' 1 a"#,
        "LPOP a ; RPUSH a 3 1 2",
    ),
    same(r#"EVAL 'redis.call("set",KEYS[1],1) error("x")' 1 a"#),
    same(
        r#"EVAL 'redis.call("set",KEYS[1],1) redis.call("incr",KEYS[2]) redis.call("lpush",KEYS[1],1)' 2 a c"#,
    ),
    same(
        r#"EVAL 'redis.pcall("lpush",KEYS[1],1) redis.pcall("incr",KEYS[1]) redis.call("set",KEYS[2],1)' 2 a c"#,
    ),
    same(r#"EVAL 'redis.call("mset",KEYS[1],1,KEYS[2],2) redis.call("rename",KEYS[1],KEYS[2])' 2 a c"#),
    apart(
        "pfmerge-copies",
        r#"EVAL 'redis.call("pfadd",KEYS[1],1) redis.call("pfadd",KEYS[2],2) redis.call("pfmerge",KEYS[3],KEYS[1],KEYS[2])' 3 a c b"#,
        "PFADD a 1 ; PFADD c 2 ; SET b HYLL* ; SET b HYLL* ; SET b HYLL*",
    ),
    quirk(
        "zstore-digits",
        r#"EVAL 'redis.call("zadd",KEYS[1],1.23456789,"x") redis.call("zunionstore",KEYS[2],1,KEYS[1])' 2 a c"#,
        "DEL c ; ZADD a 1.2345678899999999 x ; ZADD c 1.23457 x",
    ),
    same(r#"EVAL 'redis.call("sadd",KEYS[1],1,2,3) return redis.call("spop",KEYS[1])' 1 a"#),
    same(r#"EVAL 'redis.call("incrbyfloat",KEYS[1],0.1)' 1 a"#),
    same(r#"EVAL 'redis.call("set",KEYS[1],1,"px",100000)' 1 a"#),
    quirk(
        "set-past-expiry",
        r#"EVAL 'redis.call("set",KEYS[1],1) redis.call("set",KEYS[1],2,"pxat",1)' 1 a"#,
        "SET a 1",
    ),
    same(r#"EVAL 'redis.apcall("set",KEYS[1],1) redis.acall("set",KEYS[2],1)' 2 a c"#),
    same(r#"EVAL 'redis.call("SET",KEYS[1],1) redis.call("sElEcT",1) redis.call("SET",KEYS[1],2)' 1 a"#),
    same(
        r#"EVAL '--!df flags=disable-atomicity\nredis.call("set",KEYS[1],1) redis.call("set",KEYS[2],2)' 2 a c"#,
    ),
    same(r#"EVAL '--!df flags=allow-undeclared-keys\nredis.call("set","a",1) redis.call("set","c",2)' 0"#),
    same(
        r#"EVAL '--!df flags=allow-undeclared-keys\nredis.call("sadd","a",1) redis.call("smove","a","c",1)' 0"#,
    ),
    apart(
        "sort-store-apart",
        r#"EVAL '--!df flags=allow-undeclared-keys\nredis.call("rpush","a",3,1,2) redis.call("sort","a","store","c")' 0"#,
        "RPUSH a 3 1 2 ; SORT a ; SORT c",
    ),
    same("SCRIPT LOAD 'return 1'"),
    quirk(
        "list-pop-count",
        "SELECT 5 ; SET a 1 ; RPUSH c 1 2 3 ; LMPOP 1 c LEFT COUNT 2 ; SELECT 0",
        "LPOP c ; RPUSH c 1 2 3 ; SET a 1",
    ),
    same("SELECT 15 ; SADD a x y ; SADD c y ; SDIFFSTORE b a c ; SELECT 0"),
    quirk(
        "store-twice",
        "RPUSH a 1 2 ; SET w_1 2 ; SET w_2 1 | MULTI ; SORT a BY nosort GET w_* STORE a ; EXEC",
        "SORT a BY nosort GET w_* STORE a ; SORT a BY nosort GET w_* STORE a",
    ),
    quirk(
        "store-twice",
        r#"RPUSH a 1 2 ; SET w_1 2 ; SET w_2 1 | EVAL 'redis.call("sort",KEYS[1],"by","nosort","get","w_*","store",KEYS[1])' 1 a"#,
        "SORT a by nosort get w_* store a ; SORT a by nosort get w_* store a",
    ),
    same("RPUSH a 1 2 | MULTI ; SORT a STORE d ; EXEC"),
    same("RPUSH a 1 2 | MULTI ; SORT a STORE d ; SET c 1 ; EXEC"),
    same(r#"RPUSH a 1 2 | EVAL 'redis.call("sort",KEYS[1],"store",KEYS[2])' 2 a d"#),
    same(
        r#"RPUSH a 1 2 | EVAL 'redis.call("sort",KEYS[1],"store",KEYS[2]) redis.call("set",KEYS[3],1)' 3 a d c"#,
    ),
    quirk(
        "store-twice",
        "GEOADD a 13.361389 38.115556 P 15.087269 37.502669 C | MULTI ; GEORADIUS a 15 37 200 km STOREDIST a ; EXEC",
        "GEORADIUS a 15 37 200 km STOREDIST a ; GEORADIUS a 15 37 200 km STOREDIST a ; GEORADIUS a 15 37 200 km STOREDIST a",
    ),
    same(
        "GEOADD a 13.361389 38.115556 P 15.087269 37.502669 C | MULTI ; GEORADIUS a 15 37 200 km STORE d ; EXEC",
    ),
    same(
        r#"GEOADD a 13.361389 38.115556 P 15.087269 37.502669 C | EVAL 'redis.call("georadiusbymember",KEYS[1],"P",200,"km","storedist",KEYS[2])' 2 a d"#,
    ),
    same("GEOADD a 13.361389 38.115556 P 15.087269 37.502669 C | MULTI ; GEORADIUS a 15 37 200 km ; EXEC"),
    quirk(
        "store-twice",
        "CMS.INITBYDIM a 100 5 ; CMS.INITBYDIM d 100 5 ; CMS.INCRBY a x 5 ; CMS.INCRBY d x 1 | MULTI ; CMS.MERGE a 2 a d ; EXEC",
        "CMS.MERGE a 2 a d ; CMS.MERGE a 2 a d",
    ),
    same(
        "RPUSH a 1 2 ; ZADD d 1 x | MULTI ; LMOVE a a LEFT RIGHT ; ZUNIONSTORE d 1 d WEIGHTS 2 ; PFADD h x ; PFMERGE h h ; EXEC",
    ),
    same("SADD a x | MULTI ; SMOVE a d x ; SUNIONSTORE d d a ; EXEC"),
    same("SET a x | MULTI ; BITOP NOT a a ; EXEC"),
    same(r#"SET a x | EVAL 'redis.call("bitop","not",KEYS[1],KEYS[1])' 1 a"#),
    same("MULTI ; RPUSH a 1 ; RENAME a d ; RENAMENX d h ; EXEC"),
    same("MULTI ; RPUSH a 1 ; RENAME a d ; RENAMENX d h ; SET c 1 ; EXEC"),
    same("MULTI ; SET a 1 ; MOVE a 1 ; EXEC"),
    drift(
        "MULTI ; SADDEX a 100 x ; FIELDEXPIRE a 50 x ; HSETEX d FNX 100 f v ; HEXPIRE d 50 FIELDS 1 f ; HGETEX d PERSIST FIELDS 1 f ; EXEC",
    ),
    same("ZADD a 1 x 2 y 3 z | MULTI ; ZMPOP 1 a MIN COUNT 2 ; EXEC"),
    same("ZADD a 1 x 2 y 3 z | MULTI ; BZMPOP 1 1 a MIN COUNT 2 ; EXEC"),
    quirk(
        "list-pop-count",
        "RPUSH a 1 2 3 | MULTI ; BLMPOP 1 1 a LEFT COUNT 2 ; BRPOPLPUSH a d 1 ; EXEC",
        "LPOP a ; LPUSH d 3 ; RPOP a",
    ),
    drift(
        "XADD a 1-1 f v | MULTI ; XGROUP CREATE a g 0 ; XREADGROUP GROUP g c STREAMS a > ; XAUTOCLAIM a g c2 0 0 JUSTID ; XACK a g 1-1 ; XTRIM a MAXLEN 0 ; EXEC",
    ),
    same("DEBUG POPULATE 10 p 5"),
    same(
        r#"MULTI ; JSON.SET a $ {"x":[1]} ; JSON.ARRAPPEND a $.x 2 ; JSON.MSET a $ {"y":1} c $ {"z":1} ; EXEC"#,
    ),
    same(r#"EVAL 'redis.call("del",KEYS[1],KEYS[2])' 2 a c"#),
    same(r#"EVAL 'redis.call("hincrbyfloat",KEYS[1],"f",0.1) redis.call("zincrby",KEYS[1].."",1,"x")' 1 a"#),
    same(
        r#"EVAL 'redis.call("zadd",KEYS[1],3,"x") redis.call("zincrby",KEYS[1],0.1,"x") redis.call("zadd",KEYS[1],1e100,"y")' 1 a"#,
    ),
    same(r#"EVAL 'redis.call("set",KEYS[1],12345678901234567890)' 1 a"#),
    same(r#"EVAL 'redis.call("set",KEYS[1],3.14) redis.call("rpush",KEYS[2],1,2.5,true)' 2 a d"#),
    same("SCRIPT LOAD 'return 2'"),
    quirk(
        "namespace",
        "ACL SETUSER u ON >p +@all ~* NAMESPACE:ns | AUTH u p ; SET a 1 ; AUTH default x",
        "SET a 1",
    ),
    quirk("namespace", "SET a 1 | AUTH u p ; FLUSHDB ; AUTH default x", "FLUSHDB ; FLUSHDB ; FLUSHDB"),
    same("ACL DELUSER u"),
];
