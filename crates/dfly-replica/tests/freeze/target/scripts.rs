//! What the engine's own scripts do, each known by a part of its text.

use bytes::Bytes;

use super::keyspace::Keyspace;
use crate::resp::Command;
use crate::resp::reply::{error, int, nil};

/// Carries out `EVAL script count key.. argument..` in database `db`.
pub(crate) fn eval(keys: &mut Keyspace, db: u32, command: &Command) -> Vec<u8> {
    let text = std::str::from_utf8(&command[1]).unwrap();
    let count: usize = std::str::from_utf8(&command[2]).unwrap().parse().unwrap();
    let (names, arguments) = command[3..].split_at(count);
    let place = |at: usize| (db, names[at].clone());
    if text == "return 1" {
        return int(1);
    }
    if text.contains("'source','owner'") {
        let fields = [&arguments[0][..], b"source", b"owner"];
        let holds = fields
            .iter()
            .zip(&arguments[1..])
            .all(|(field, value)| keys.field(&place(0), field) == Some(value));
        if !holds {
            keys.touch(place(1));
        }
        return nil();
    }
    if text.contains("local old,new=is(") {
        return replace(keys, (db, names[0].clone()), arguments);
    }
    if text.contains("unpack(ARGV,2)") {
        if keys.field(&place(0), b"owner").is_some_and(|owner| *owner != arguments[0]) {
            return int(0);
        }
        keys.set_fields(place(0), &arguments[1..]);
        return int(1);
    }
    if text.contains("MISSING it has expired") {
        if keys.has(&place(0)) {
            return int(1);
        }
        let set_db = if text.contains("'SELECT',0") { 0 } else { db };
        keys.add((set_db, names[1].clone()), arguments[0].clone());
        return error("MISSING it has expired");
    }
    if text.contains("RENAME',KEYS[1],KEYS[2]) else") {
        if !keys.rename(&place(0), place(1)) {
            keys.remove(&place(1));
        }
        return nil();
    }
    // The registry knows of the key's due times.
    if text.contains("ZADD',KEYS[3],n[2],ARGV[1]") {
        keys.add(place(2), arguments[0].clone());
    }
    keys.make(place(0));
    nil()
}

/// The positions of another source in place of those of the one before.
fn replace(keys: &mut Keyspace, place: (u32, Bytes), arguments: &[Bytes]) -> Vec<u8> {
    let flows = || arguments[2..].chunks(3);
    let is = |field: &[u8], value: &Bytes| keys.field(&place, field) == Some(value);
    if is(b"source", &arguments[1]) && flows().all(|flow| is(&flow[0], &flow[2])) {
        return int(1);
    }
    if !is(b"source", &arguments[0]) || !flows().all(|flow| is(&flow[0], &flow[1])) {
        return int(0);
    }
    let mut fields = vec![Bytes::from("source"), arguments[1].clone()];
    fields.extend(flows().flat_map(|flow| [flow[0].clone(), flow[2].clone()]));
    keys.set_fields(place, &fields);
    int(1)
}
