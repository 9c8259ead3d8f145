//! Bloom and cuckoo filters, sketches, top lists.

use crate::quirks::form::{Form, apart, same};

pub(super) const FORMS: &[Form] = &[
    same("BF.ADD a x"),
    same("BF.MADD a x y z"),
    same("BF.ADD a x | BF.ADD a x"),
    same("BF.RESERVE a 0.01 1000"),
    same("BF.RESERVE a 0.01 10 | BF.MADD a 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"),
    same("SET a 1 | BF.ADD a x"),
    same("CF.RESERVE a 1000"),
    same("CF.RESERVE a 1000 BUCKETSIZE 4 MAXITERATIONS 20 EXPANSION 2"),
    same("CF.ADD a x"),
    same("CF.ADDNX a x"),
    same("CF.ADD a x | CF.ADDNX a x"),
    same("CF.INSERT a CAPACITY 1000 ITEMS x y z"),
    same("CF.INSERT a NOCREATE ITEMS x y z"),
    same("CF.INSERTNX a ITEMS x y x"),
    same("CF.ADD a x | CF.DEL a x"),
    same("CF.ADD a x | CF.DEL a y"),
    same("CF.ADD a x | CF.COMPACT a"),
    same(
        "CF.RESERVE a 8 BUCKETSIZE 1 | CF.INSERT a ITEMS 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25",
    ),
    same(
        "CF.RESERVE a 8 BUCKETSIZE 1 EXPANSION 0 | CF.INSERT a ITEMS 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25",
    ),
    same("CMS.INITBYDIM a 100 5"),
    same("CMS.INITBYPROB a 0.01 0.01"),
    same("CMS.INITBYDIM a 100 5 | CMS.INCRBY a x 5 y 3"),
    same("CMS.INCRBY a x 5"),
    same("CMS.INITBYDIM a 100 5 ; CMS.INITBYDIM d 100 5 ; CMS.INCRBY d x 5 | CMS.MERGE a 1 d"),
    apart(
        "cms-merge-apart",
        "CMS.INITBYDIM a 100 5 ; CMS.INITBYDIM c 100 5 ; CMS.INCRBY c x 5 | CMS.MERGE a 1 c",
        "CMS.MERGE a ; CMS.MERGE c",
    ),
    apart(
        "cms-merge-apart",
        "CMS.INITBYDIM a 100 5 ; CMS.INITBYDIM c 100 5 ; CMS.INCRBY c x 5 | CMS.MERGE a 1 c WEIGHTS 3",
        "CMS.MERGE a ; CMS.MERGE c",
    ),
    same("TOPK.RESERVE a 3"),
    same("TOPK.RESERVE a 3 50 3 0.9"),
    same("TOPK.RESERVE a 3 | TOPK.ADD a x y x"),
    same("TOPK.RESERVE a 3 | TOPK.INCRBY a x 5 y 3"),
    same(
        "CMS.INITBYDIM a 100 5 ; CMS.INITBYDIM d 100 5 ; CMS.INCRBY a x 5 ; CMS.INCRBY d x 1 | CMS.MERGE a 2 a d",
    ),
    same("BF.MADD a x y z | load-chunks-of a c"),
    same(
        "TOPK.RESERVE a 2 2 2 0.5 | TOPK.ADD a 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 1 2 3 4 5 6 7 8 9 10 1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9 1 2 3",
    ),
    same("TOPK.RESERVE a 2 2 2 0.5 | TOPK.INCRBY a x 100 y 50 z 70 w 20 v 90 u 10 t 5"),
    same(
        "CF.RESERVE a 64 BUCKETSIZE 2 MAXITERATIONS 50 EXPANSION 0 | CF.INSERT a ITEMS 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68",
    ),
];
