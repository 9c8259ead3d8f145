//! Values of the snapshot that the target itself cannot hold, and where keys go.

use bytes::Bytes;
use dfly_rdb::{Entry, KeyHeader, RawValue, TypeId, ValueId};
use dfly_translate::{Ability, Effect, Loss, Output, Policies, Policy, Rules, Selection, Target};
use dfly_wire::{DbIndex, UnixMillis};

use crate::journal::{Flow, NOW, redis, with_modules};
use crate::servers;

/// The Unix time in seconds from which due times in payloads count (protocol section 7.6.4).
const BASE: i64 = 1_675_209_600;

fn entry(db: u32, key: &'static str, type_id: TypeId, payload: impl Into<Bytes>) -> Entry {
    let header = KeyHeader { db: DbIndex(db), key: key.into(), ..KeyHeader::default() };
    Entry { header, value: RawValue::new(type_id, payload.into()) }
}

fn write(flow: &mut Flow, entry: &Entry, now: UnixMillis) -> Effect {
    flow.translator.entry(entry, &mut Output { commands: &mut flow.batch, now }).unwrap()
}

fn timed(pairs: &[(&str, Option<&str>, u32)]) -> Vec<u8> {
    let mut payload = vec![u8::try_from(pairs.len()).unwrap()];
    let text = |text: &str, payload: &mut Vec<u8>| {
        payload.push(u8::try_from(text.len()).unwrap());
        payload.extend(text.as_bytes());
    };
    for (member, value, due) in pairs {
        text(member, &mut payload);
        if let Some(value) = value {
            text(value, &mut payload);
        }
        let relative = if *due == 0 { u32::MAX } else { *due };
        payload.push(0xc2);
        payload.extend(relative.to_le_bytes());
    }
    payload
}

/// Due times of a set and of a hash reach every server, and members are removed when they are due.
#[test]
fn members_with_an_expiry() {
    for server in servers::servers() {
        let mut client = server.client();
        let mut flow = Flow::new(server.target, Policy::Fail);
        let (soon, late) = (200_000_000, 2_000_000_000);
        let now = UnixMillis((BASE + i64::from(soon) - 60) * 1000);
        let set = timed(&[("a", None, soon), ("b", None, late), ("c", None, 0), ("d", None, 1)]);
        let hash = timed(&[("f", Some("v"), soon), ("g", Some("w"), 0)]);
        assert_eq!(write(&mut flow, &entry(0, "s", TypeId::SetWithExpiry, set), now), Effect::Written);
        assert_eq!(write(&mut flow, &entry(0, "h", TypeId::HashWithExpiry, hash), now), Effect::Written);
        let native = server.target.has(Ability::FieldTtl);
        assert_eq!(flow.translator.expiring_keys(), if native { 1 } else { 2 });
        for (offset, members, fields) in [(0, "[\"a\" \"b\" \"c\"]", 2), (61, "[\"b\" \"c\"]", 1)] {
            flow.translator.sweep(UnixMillis(now.0 + offset * 1000), &mut flow.batch);
            for index in 0..flow.batch.len() {
                let words: Vec<&[u8]> = flow.batch.command(index).unwrap().arguments().collect();
                let reply = client.command(&words).unwrap();
                assert!(reply.error().is_none(), "{reply:?}");
            }
            flow.batch.truncate(0);
            let found = servers::shown(&client.expect(&[b"SORT", b"s", b"ALPHA"]).unwrap());
            assert_eq!(found, members);
            let count = client.expect(&[b"HLEN", b"h"]).unwrap().int().unwrap();
            // A server that removes fields itself uses its own clock, for which the fields are not due yet.
            assert_eq!(count, if native { 2 } else { fields });
        }
    }
}

#[test]
fn documents() {
    let json = || entry(0, "k", TypeId::Json, &b"\x07{\"a\":1}"[..]);
    let run = |target: Target, policies: &str| {
        let rules = Rules { policies: policies.parse::<Policies>().unwrap(), ..Rules::default() };
        let mut flow = Flow::new(target, rules);
        let effect = write(&mut flow, &json(), NOW);
        (effect, flow.lines())
    };
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert_eq!(run(redis(7, 0), "json=skip"), (Effect::Lost(Loss::Json), lines(&["DEL k"])));
    assert_eq!(run(redis(7, 0), "json=string"), (Effect::Written, lines(&["SET k {\"a\":1}"])));
    let module = with_modules(redis(7, 4));
    assert_eq!(run(module, "fail"), (Effect::Written, lines(&["DEL k", "JSON.SET k $ {\"a\":1}"])));
}

/// A module that hashes differently cannot use the bits of a filter.
#[test]
fn sketches() {
    let bloom = entry(0, "k", TypeId::TopK, &b"\x01"[..]);
    let mut plain = Flow::new(redis(7, 0), Policy::Skip);
    assert_eq!(write(&mut plain, &bloom, NOW), Effect::Lost(Loss::TopK));
    assert_eq!(plain.lines(), ["DEL k"]);
    let mut module = Flow::new(with_modules(redis(7, 4)), Policy::Skip);
    assert_eq!(write(&mut module, &bloom, NOW), Effect::Lost(Loss::TopK));
    assert_eq!(module.lines(), ["DEL k", "SADD df2redis:left-out:0 k"]);
    assert_eq!(module.apply(0, "TOPK.ADD k a").unwrap(), Effect::Lost(Loss::TopK));
}

/// C6: values of the source under reserved names are left out and counted, whole or in pieces, and under every policy.
#[test]
fn reserved_keys() {
    let mut flow = Flow::new(redis(7, 0), Policy::Fail);
    let whole = entry(0, "df2redis:checkpoint", TypeId::String, &b"\x01v"[..]);
    assert_eq!(write(&mut flow, &whole, NOW), Effect::Lost(Loss::Reserved));
    let header = KeyHeader { key: "df2redis@a:due:0".into(), ..KeyHeader::default() };
    let mut out = Output { commands: &mut flow.batch, now: NOW };
    let opened = flow.translator.open((ValueId(1), TypeId::List), &header, &mut out);
    assert_eq!(opened, Ok(Effect::Lost(Loss::Reserved)));
    assert_eq!(flow.translator.close(ValueId(1), &mut out), Ok(Effect::Nothing));
    assert!(flow.batch.is_empty());
    assert_eq!(flow.translator.take_losses().iter().collect::<Vec<_>>(), [(Loss::Reserved, 2)]);
}

#[test]
fn where_keys_go() {
    let selection = Selection {
        dbs: "3=1,7=skip".parse().unwrap(),
        renames: vec!["user:=u:".parse().unwrap()],
        ..Selection::default()
    };
    let mut flow = Flow::new(redis(7, 0), Rules { selection, ..Rules::from(Policy::Fail) });
    let string = |db, key| entry(db, key, TypeId::String, &b"\x01v"[..]);
    assert_eq!(write(&mut flow, &string(3, "user:1"), NOW), Effect::Written);
    assert_eq!(write(&mut flow, &string(7, "user:1"), NOW), Effect::Unselected);
    assert_eq!(flow.lines(), ["SELECT 1", "SET u:1 v"]);
}
