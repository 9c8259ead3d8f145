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
];
