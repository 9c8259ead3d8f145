//! SORT.

use crate::quirks::form::{Form, apart, same};

pub(super) const FORMS: &[Form] = &[
    same("RPUSH a 3 1 2 | SORT a STORE d"),
    apart("sort-store-apart", "RPUSH a 3 1 2 | SORT a STORE c", "SORT a ; SORT c"),
    same("RPUSH a 3 1 2 | SORT a STORE a"),
    same("RPUSH a 3 1 2 ; SET d x EX 100 | SORT a STORE d"),
    apart("sort-store-apart", "RPUSH a 3 1 2 ; SET c x EX 100 | SORT a STORE c", "SORT a ; SORT c"),
    same("SET d x | SORT a STORE d"),
    same("SET c x | SORT a STORE c"),
    same("RPUSH a 3 1 2 | SORT a"),
    same("RPUSH a 3 1 2 | SORT a LIMIT 5 5 STORE d"),
    same("RPUSH a x b c | SORT a STORE d"),
    same("RPUSH a x b c | SORT a ALPHA STORE d"),
    same("RPUSH a x b c | SORT a ALPHA DESC LIMIT 0 2 STORE d"),
    same("SADD a 3 1 2 | SORT a BY nosort STORE d"),
    same("ZADD a 1 x 2 y | SORT a BY nosort DESC STORE d"),
    same("RPUSH a 1 2 ; SET w_1 5 ; SET w_2 3 | SORT a BY w_* STORE d"),
    apart(
        "sort-store-apart",
        "RPUSH a 1 2 ; SET w_1 5 ; SET w_2 3 | SORT a BY w_* GET # GET w_* STORE c",
        "SORT a ; SORT c",
    ),
    same("SORT a"),
    same("SADD a b aa c d e f g h i j | SORT a BY nosort STORE d"),
    same("SADD a 10 9 8 | SORT a BY nosort STORE d"),
    same("SADD a 1 2 ; HSET h_1 w 3 ; HSET h_2 w 1 | SORT a BY h_*->w GET # STORE d"),
    same("SADD a 1 2 ; SET w_1 a ; SET w_2 b | SORT a BY w_* ALPHA STORE d"),
    same("RPUSH a 1 2 3 | SORT a LIMIT 0 0 STORE d"),
    same("RPUSH a 1 2 3 | SORT a LIMIT -1 1 STORE d"),
    same("RPUSH a 1.5 1.25 3 | SORT a STORE d"),
    same("RPUSH a B a C | SORT a ALPHA STORE d"),
    same("RPUSH a 1 2 ; SET w_1 2 ; SET w_2 1 | SORT a BY nosort GET w_* STORE a"),
];
