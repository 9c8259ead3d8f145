//! DUMP payloads.

use dfly_rdb::payload::{Plan, TargetFormat, parse_dump, plan, write_dump};
use dfly_rdb::{Family, RawValue};
use dfly_wire::crc64;

use crate::content::Content;

const fn target(family: Family, major: u16, minor: u16) -> TargetFormat {
    TargetFormat { family, version: (major, minor) }
}

const TARGETS: [TargetFormat; 7] = [
    target(Family::Redis, 6, 2),
    target(Family::Redis, 7, 0),
    target(Family::Redis, 7, 2),
    target(Family::Redis, 7, 4),
    target(Family::Redis, 8, 6),
    target(Family::Valkey, 8, 1),
    target(Family::Valkey, 9, 1),
];

/// A payload without its checksum: what is read from it is what every server gets.
pub fn payload(data: &[u8]) {
    let dump = [data, &crc64::checksum(data).to_le_bytes()].concat();
    if let Ok(value) = parse_dump(dump.into()) {
        for_every_target(&value);
    }
}

/// What is written for a server reads back as the same elements.
pub(crate) fn for_every_target(value: &RawValue) {
    let stated = Content::of(value.elements());
    for target in TARGETS {
        let (mut dump, promised) = (Vec::new(), plan(value, &target));
        match write_dump(value, &target, &mut dump) {
            Ok(Plan::Commands) => assert!(dump.is_empty() && promised != Plan::Verbatim),
            Ok(made) => {
                assert_eq!(made, promised);
                same(value, &stated, (made, dump));
            }
            Err(_) => assert!(stated.is_err() && dump.is_empty()),
        }
    }
}

fn same(value: &RawValue, stated: &Result<Content, dfly_rdb::ValueError>, (made, dump): (Plan, Vec<u8>)) {
    match (parse_dump(dump.into()), made) {
        (Ok(back), Plan::Verbatim) => assert_eq!(back, *value),
        (Ok(back), _) => {
            assert_ne!(back.type_id(), value.type_id());
            let found = Content::of(back.elements());
            let stated = stated.clone().map(|stated| stated.into_form(back.type_id()));
            assert!(found == stated || (found.is_err() && stated.is_err()), "{found:?} for {stated:?}");
        }
        (Err(error), Plan::Verbatim) => assert!(stated.is_err(), "{error} for {stated:?}"),
        (Err(error), _) => panic!("{error} in a payload that was written"),
    }
}
