//! Sorted sets that are stored as a result.

use crate::quirks::form::{Form, quirk, same};

pub(super) const FORMS: &[Form] = &[
    quirk(
        "zstore-digits",
        "ZADD a 1.23456789 x 1e10 y 123456789 z ; ZADD c 1 q | ZUNIONSTORE b 2 a c",
        "DEL b ; ZADD b *",
    ),
    same("ZADD a 1 x 2 y ; ZADD c 1 x | ZUNIONSTORE b 2 a c"),
    same("ZADD a 1 x 2 y ; ZADD d 1 x | ZUNIONSTORE h 2 a d"),
    same("ZADD a 1 x 2 y ; ZADD d 1 x | ZUNIONSTORE a 2 a d"),
    same("ZADD a 1 x 2 y ; ZADD d 1 x | ZUNIONSTORE a 2 a d WEIGHTS 2 3 AGGREGATE MAX"),
    quirk(
        "zstore-digits",
        "ZADD a 1.23456789 x 2 y ; ZADD c 1 x | ZINTERSTORE b 2 a c",
        "DEL b ; ZADD b 2.23457 x",
    ),
    quirk(
        "zstore-digits",
        "ZADD a 1.23456789 x 2 y ; ZADD c 1 y | ZDIFFSTORE b 2 a c",
        "DEL b ; ZADD b 1.23457 x",
    ),
    quirk("zstore-digits", "ZADD a 1.23456789 x 2 y | ZRANGESTORE b a 0 -1", "DEL b ; ZADD b 1.23457 x 2 y"),
    quirk("zstore-digits", "ZADD a 1.23456789 x 2 y | ZRANGESTORE d a 0 -1", "DEL d ; ZADD d 1.23457 x 2 y"),
    same("ZADD a 1 x 2 y | ZRANGESTORE d a 5 10"),
    same("ZADD a 1 x 2 y ; SET d 1 EX 100 | ZRANGESTORE d a 0 0"),
    same("ZADD a 1 x 2 y ; ZADD d 1 x ; EXPIRE d 100 | ZRANGESTORE d a 0 0"),
    same("ZADD a 1 x 2 y ; SET d 1 EX 100 | ZRANGESTORE d a 5 6"),
    same("ZADD a 1 x 2 y ; SET d 1 EX 100 | ZUNIONSTORE d 1 a"),
    same("ZADD d 1 x ; EXPIRE d 100 ; ZADD a 2 q | ZUNIONSTORE d 1 a"),
    same("ZADD c 1 x ; EXPIRE c 100 ; ZADD a 2 q | ZUNIONSTORE c 1 a"),
    same("ZADD a 1 x 2 y ; SET d 1 | ZINTERSTORE d 2 a zz"),
    same("ZADD a 1 x 2 y ; SET c 1 | ZINTERSTORE c 2 a zz"),
    same("SADD a x y ; ZADD c 5 x | ZUNIONSTORE b 2 a c"),
    same("SADD a x y ; ZADD c 5 x | ZINTERSTORE b 2 a c"),
    same("ZADD a inf x -inf y | ZUNIONSTORE b 1 a"),
    same("ZADD a inf x ; ZADD c -inf x | ZUNIONSTORE b 2 a c"),
    same("ZADD a inf x 1 y | ZUNIONSTORE b 1 a WEIGHTS 0"),
    same("ZADD a 1e-5 x 100000 y 1000000 z | ZUNIONSTORE b 1 a"),
    quirk(
        "zstore-digits",
        "ZADD a 999999 x -999999.5 y 0.000012345 z | ZUNIONSTORE b 1 a",
        "DEL b ; ZADD b *",
    ),
    same("ZADD a 3 x 1 y 2 z | ZRANGESTORE b a (1 3 BYSCORE LIMIT 0 1"),
    same("ZADD a 0 x 0 y 0 z | ZRANGESTORE b a [x [y BYLEX REV"),
    same("ZADD a 0 x 0 y 0 z | ZRANGESTORE b a [y [x BYLEX REV"),
    same("SET a 1 ; ZADD c 1 x ; ZADD b 2 t | ZUNIONSTORE b 2 a c"),
];
