//! Streams.

use crate::quirks::form::{Form, apart, drift, quirk, same};

pub(super) const FORMS: &[Form] = &[
    same("XADD a * f v"),
    same("XADD a 5-* f v"),
    same("XADD a 5-1 f v | XADD a 5-1 g w"),
    same("XADD a NOMKSTREAM 1-1 f v"),
    same("XADD a 1-1 f v | XADD a NOMKSTREAM 2-1 f v"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v ; XADD a 3-1 f v | XADD a MAXLEN 2 4-1 f v"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v ; XADD a 3-1 f v | XADD a MAXLEN 2 * f v"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v ; XADD a 3-1 f v | XADD a NOMKSTREAM MAXLEN 2 4-1 f v"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v | XADD a MAXLEN 0 4-1 f v"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v | XADD a MAXLEN ~ 1 4-1 f v"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v | XADD a MAXLEN ~ 1 LIMIT 1 4-1 f v"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v | XADD a MINID 2 4-1 f v"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v | XADD a MINID = 2-1 * f v"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v | XADD a MINID 9-1 4-1 f v"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v | XADD a MINID ~ 9-1 4-1 f v"),
    same("XADD a 1-1 f v | XADD a MAXLEN 100 4-1 f v"),
    same("XADD a MAXLEN 0 4-1 f v"),
    same("SET a 1 | XADD a * f v"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v ; XADD a 3-1 f v | XTRIM a MAXLEN 2"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v ; XADD a 3-1 f v | XTRIM a MAXLEN 0"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v ; XADD a 3-1 f v | XTRIM a MAXLEN ~ 1"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v ; XADD a 3-1 f v | XTRIM a MINID 2"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v ; XADD a 3-1 f v | XTRIM a MINID ~ 2"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v ; XADD a 3-1 f v | XTRIM a MINID 9"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v ; XADD a 3-1 f v | XTRIM a MAXLEN 5"),
    same("XADD a 1-1 f v ; XTRIM a MAXLEN 0 | XTRIM a MAXLEN 5"),
    same("XTRIM a MAXLEN 5"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v | XDEL a 1-1"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v | XDEL a 2-1 9-9"),
    same("XADD a 1-1 f v | XDEL a 1-1"),
    same("XADD a 1-1 f v | XDEL a 9-1"),
    same("XDEL a 1-1"),
    same("XADD a 1-1 f v | XSETID a 9-1"),
    same("XADD a 5-1 f v | XSETID a 1-1"),
    same("XSETID a 1-1"),
    same("XADD a 1-1 f v | XSETID a 9-1 ENTRIESADDED 100 MAXDELETEDID 3-3"),
    same("XADD a 1-1 f v | XGROUP CREATE a g 0"),
    same("XADD a 1-1 f v | XGROUP CREATE a g $"),
    same("XADD a 1-1 f v | XGROUP CREATE a g 1-1 ENTRIESREAD 1"),
    same("XGROUP CREATE a g $ MKSTREAM"),
    same("XGROUP CREATE a g $"),
    same("XADD a 1-1 f v ; XGROUP CREATE a g 0 | XGROUP CREATE a g 0"),
    same("XADD a 1-1 f v ; XGROUP CREATE a g 0 | XGROUP CREATECONSUMER a g c1"),
    same(
        "XADD a 1-1 f v ; XGROUP CREATE a g 0 ; XGROUP CREATECONSUMER a g c1 | XGROUP CREATECONSUMER a g c1",
    ),
    same(
        "XADD a 1-1 f v ; XGROUP CREATE a g 0 ; XREADGROUP GROUP g c1 STREAMS a > | XGROUP DELCONSUMER a g c1",
    ),
    same("XADD a 1-1 f v ; XGROUP CREATE a g 0 | XGROUP DELCONSUMER a g c9"),
    same("XADD a 1-1 f v ; XGROUP CREATE a g 0 | XGROUP DESTROY a g"),
    same("XADD a 1-1 f v | XGROUP DESTROY a g"),
    same("XADD a 1-1 f v ; XGROUP CREATE a g 0 | XGROUP SETID a g 1-1"),
    same("XADD a 1-1 f v ; XGROUP CREATE a g 0 | XGROUP SETID a g $"),
    same("XADD a 1-1 f v ; XGROUP CREATE a g 0 | XGROUP SETID a g 1-1 ENTRIESREAD 1"),
    same("XADD a 1-1 f v ; XGROUP CREATE a g 0 ; XREADGROUP GROUP g c1 STREAMS a > | XACK a g 1-1"),
    same("XADD a 1-1 f v ; XGROUP CREATE a g 0 | XACK a g 1-1"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v ; XGROUP CREATE a g 0 | XREADGROUP GROUP g c1 STREAMS a >"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v ; XGROUP CREATE a g 0 | XREADGROUP GROUP g c1 COUNT 1 STREAMS a >"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v ; XGROUP CREATE a g 0 | XREADGROUP GROUP g c1 NOACK STREAMS a >"),
    same("XADD a 1-1 f v ; XGROUP CREATE a g $ | XREADGROUP GROUP g c1 STREAMS a >"),
    quirk(
        "xreadgroup-history",
        "XADD a 1-1 f v ; XGROUP CREATE a g 0 ; XREADGROUP GROUP g c1 STREAMS a > | XREADGROUP GROUP g c1 STREAMS a 0",
        "",
    ),
    same(
        "XADD a 1-1 f v ; XGROUP CREATE a g 0 ; XREADGROUP GROUP g c1 STREAMS a > | XREADGROUP GROUP g c2 STREAMS a 0",
    ),
    same("XADD a 1-1 f v ; XGROUP CREATE a g 0 | XREADGROUP GROUP g c2 STREAMS a 0"),
    same(
        "XADD a 1-1 f v ; XGROUP CREATE a g 0 ; XADD c 1-1 f v ; XGROUP CREATE c g 0 | XREADGROUP GROUP g c1 STREAMS a c > >",
    ),
    apart(
        "xreadgroup-consumer",
        "XADD a 1-1 f v ; XGROUP CREATE a g 0 ; XADD c 1-1 f v | XREADGROUP GROUP g c1 STREAMS a c > >",
        "",
    ),
    same(
        "XADD a 1-1 f v ; XGROUP CREATE a g $ | & XREADGROUP GROUP g c1 BLOCK 5000 STREAMS a > ; XADD a 2-1 f v",
    ),
    same(
        "XADD a 1-1 f v ; XGROUP CREATE a g $ | & XREADGROUP GROUP g c1 BLOCK 5000 NOACK STREAMS a > ; XADD a 2-1 f v",
    ),
    same(
        "XADD a 1-1 f v ; XGROUP CREATE a g $ ; XGROUP CREATECONSUMER a g c1 | & XREADGROUP GROUP g c1 BLOCK 5000 COUNT 1 STREAMS a > ; XADD a 2-1 f v",
    ),
    same("XADD a 1-1 f v ; XGROUP CREATE a g $ | & XREADGROUP GROUP g c1 BLOCK 100 STREAMS a >"),
    apart(
        "xreadgroup-consumer",
        "XADD a 1-1 f v ; XGROUP CREATE a g $ ; XADD c 1-1 f v ; XGROUP CREATE c g $ | & XREADGROUP GROUP g c1 BLOCK 5000 STREAMS a c > > ; XADD c 2-1 f v",
        "XADD c 2-1 f v ; XCLAIM c g c1 0 2-1 TIME * ; XGROUP SETID c g 2-1 ENTRIESREAD 2",
    ),
    drift(
        "XADD a 1-1 f v ; XADD a 2-1 f v ; XGROUP CREATE a g 0 ; XREADGROUP GROUP g c1 STREAMS a > | XCLAIM a g c2 0 1-1",
    ),
    drift(
        "XADD a 1-1 f v ; XADD a 2-1 f v ; XGROUP CREATE a g 0 ; XREADGROUP GROUP g c1 STREAMS a > | XCLAIM a g c2 0 1-1 2-1 JUSTID",
    ),
    drift(
        "XADD a 1-1 f v ; XADD a 2-1 f v ; XGROUP CREATE a g 0 ; XREADGROUP GROUP g c1 STREAMS a > | XCLAIM a g c2 100000 1-1",
    ),
    drift(
        "XADD a 1-1 f v ; XADD a 2-1 f v ; XGROUP CREATE a g 0 ; XREADGROUP GROUP g c1 STREAMS a > | XCLAIM a g c2 0 1-1 IDLE 5000",
    ),
    same(
        "XADD a 1-1 f v ; XADD a 2-1 f v ; XGROUP CREATE a g 0 ; XREADGROUP GROUP g c1 STREAMS a > | XCLAIM a g c2 0 1-1 TIME 1790000000000 RETRYCOUNT 7",
    ),
    drift("XADD a 1-1 f v ; XADD a 2-1 f v ; XGROUP CREATE a g 0 | XCLAIM a g c2 0 1-1 FORCE"),
    drift("XADD a 1-1 f v ; XADD a 2-1 f v ; XGROUP CREATE a g 0 | XCLAIM a g c2 0 1-1"),
    drift(
        "XADD a 1-1 f v ; XADD a 2-1 f v ; XGROUP CREATE a g 0 ; XREADGROUP GROUP g c1 STREAMS a > | XCLAIM a g c2 0 1-1 LASTID 5-5",
    ),
    drift(
        "XADD a 1-1 f v ; XADD a 2-1 f v ; XGROUP CREATE a g 0 ; XREADGROUP GROUP g c1 STREAMS a > ; XDEL a 1-1 | XCLAIM a g c2 0 1-1 2-1",
    ),
    drift(
        "XADD a 1-1 f v ; XADD a 2-1 f v ; XGROUP CREATE a g 0 ; XREADGROUP GROUP g c1 STREAMS a > | XAUTOCLAIM a g c2 0 0",
    ),
    drift(
        "XADD a 1-1 f v ; XADD a 2-1 f v ; XGROUP CREATE a g 0 ; XREADGROUP GROUP g c1 STREAMS a > | XAUTOCLAIM a g c2 0 0 COUNT 1",
    ),
    drift(
        "XADD a 1-1 f v ; XADD a 2-1 f v ; XGROUP CREATE a g 0 ; XREADGROUP GROUP g c1 STREAMS a > | XAUTOCLAIM a g c2 0 0 JUSTID",
    ),
    drift(
        "XADD a 1-1 f v ; XADD a 2-1 f v ; XGROUP CREATE a g 0 ; XREADGROUP GROUP g c1 STREAMS a > | XAUTOCLAIM a g c2 100000 0",
    ),
    drift(
        "XADD a 1-1 f v ; XADD a 2-1 f v ; XGROUP CREATE a g 0 ; XREADGROUP GROUP g c1 STREAMS a > ; XDEL a 1-1 | XAUTOCLAIM a g c2 0 0",
    ),
    drift("XADD a 1-1 f v ; XADD a 2-1 f v ; XGROUP CREATE a g 0 | XAUTOCLAIM a g c2 0 0"),
    same(
        "XADD a 1-1 f v ; XADD a 2-1 f v ; XADD a 3-1 f v ; XGROUP CREATE a g 0 ; XREADGROUP GROUP g c1 COUNT 2 STREAMS a > | XTRIM a MAXLEN 1",
    ),
    same(
        "XADD a 1-1 f v ; XADD a 2-1 f v ; XADD a 3-1 f v ; XDEL a 2-1 ; XGROUP CREATE a g 0 | XREADGROUP GROUP g c1 STREAMS a >",
    ),
    same("XADD a 1-1 f v ; XADD a 2-1 f v ; XADD a 3-1 f v ; XDEL a 3-1 | XTRIM a MAXLEN 1"),
    same("XADD a 1-1 f v ; XADD a 2-1 f v ; XADD a 3-1 f v ; XDEL a 1-1 | XADD a MAXLEN 2 9-1 f v"),
    same("XADD a 01-01 f v"),
    same("XADD a 1-1 f v | XSETID a 05-1"),
    same("XADD a 1-1 f v | XTRIM a MINID 05"),
    same("XADD a 1-1 f v | XDEL a 01-1"),
    same("XADD a 1-1 f v ; XGROUP CREATE a g 0 | XGROUP SETID a g 01-1"),
    same("XADD a 1-1 f v | XGROUP CREATE a g 01-1"),
    same("XADD a 1-1 f v ; XGROUP CREATE a g 0 | XCLAIM a g c2 00 1-1 TIME 01790000000000 FORCE"),
    same("XADD a 1-1 f v | XGROUP CREATE a g $ ENTRIESREAD 5"),
];
