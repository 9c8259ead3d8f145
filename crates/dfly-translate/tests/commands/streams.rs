//! Streams that are too large to be restored as a whole.

use bytes::{Bytes, BytesMut};
use dfly_rdb::payload::parse_dump;
use dfly_rdb::{Config, Decoder, Event, Limits, Step};
use dfly_testkit::{RedisClient, Reply};
use dfly_translate::{Effect, Loss, Output, Policy, Rules, TranslateError};

use crate::journal::{Flow, NOW};
use crate::servers;

/// The most bytes of a stream that the translator restores as a whole in these tests.
const WHOLE: usize = 4_000;

/// The snapshot of one key with the value that a server gives for `key`.
fn snapshot(client: &mut RedisClient, key: &[u8]) -> BytesMut {
    let dump = client.expect(&[b"DUMP", key]).unwrap().bytes().unwrap();
    let value = parse_dump(dump).unwrap();
    let mut wire = BytesMut::from(&b"REDIS0009\xfe\0"[..]);
    wire.extend_from_slice(&[value.type_id().wire(), 4]);
    wire.extend_from_slice(b"copy");
    wire.extend_from_slice(value.payload());
    wire.extend_from_slice(&[0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    wire
}

/// Translates the snapshot, in pieces.
fn translate(flow: &mut Flow, mut wire: BytesMut) -> Result<(), TranslateError> {
    let limits = Limits { piece: 256, ..Limits::default() };
    let mut decoder = Decoder::new(Config { limits, verify_checksum: false, ..Config::default() });
    loop {
        let Step::Ready(event) = decoder.decode(&mut wire).unwrap() else { panic!("the snapshot is whole") };
        let mut out = Output { commands: &mut flow.batch, now: NOW };
        match &event {
            Event::Open { id, header, type_id } => {
                flow.translator.open((*id, *type_id), header, &mut out)?;
            }
            Event::Piece { id, piece } => drop(flow.translator.piece(*id, piece, &mut out)?),
            Event::Close { id } => {
                let effect = flow.translator.close(*id, &mut out)?;
                assert!(matches!(effect, Effect::Written | Effect::Lost(Loss::Pending)), "{effect:?}");
            }
            Event::Entry(entry) => panic!("{:?} is too small", entry.header.key),
            Event::End { .. } => return Ok(()),
            _ => {}
        }
    }
}

fn carry_out(flow: &Flow, client: &mut RedisClient) {
    for command in flow.batch.iter() {
        let words: Vec<&[u8]> = command.arguments().collect();
        let reply = client.command(&words).unwrap();
        assert!(reply.error().is_none(), "{reply:?}");
    }
}

/// All that a stream is, but for how it lies in memory.
fn state(client: &mut RedisClient, key: &[u8]) -> String {
    let full = client.expect(&[b"XINFO", b"STREAM", key, b"FULL", b"COUNT", b"0"]).unwrap();
    let pairs = full.array().unwrap().chunks(2);
    let is_content = |pair: &&[Reply]| !servers::shown(&pair[0]).contains("radix-tree");
    pairs.filter(is_content).flatten().map(servers::shown).collect::<Vec<_>>().join(" ")
}

/// A stream of 1,200 entries, of which the first 300 were delivered to two consumers, and then deleted or trimmed as `lines` say.
fn fill(client: &mut RedisClient, lines: &[&str]) {
    for ms in 1..=1_200 {
        let (id, value) = (format!("{ms}-1"), format!("value-{ms}"));
        client.expect(&[b"XADD", b"s", id.as_bytes(), b"field", value.as_bytes(), b"n", b"7"]).unwrap();
    }
    for line in ["XGROUP CREATE s g 0", "XGROUP CREATE s idle 5-1"]
        .iter()
        .chain(&["XREADGROUP GROUP g a COUNT 200 STREAMS s >", "XREADGROUP GROUP g b COUNT 100 STREAMS s >"])
    {
        client.expect(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>()).unwrap();
    }
    for line in lines {
        client.expect(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>()).unwrap();
    }
}

/// C24: pending entries of a stream that is too large for one RESTORE are kept, although some are deleted from it.
#[test]
fn pending_entries_that_are_deleted() {
    for server in servers::servers().into_iter().filter(|server| server.target.format.version >= (7, 0)) {
        for lines in [
            &["XTRIM s MINID 150"][..],
            &["XDEL s 7-1 8-1 250-1"],
            &["XDEL s 1200-1", "XTRIM s MINID 1150", "XGROUP SETID s idle 3-1"],
            &["XACK s g 1-1 2-1", "XDEL s 300-1", "XTRIM s MAXLEN 60"],
            &["XACK s g 1-1"],
        ] {
            let mut client = server.client();
            fill(&mut client, lines);
            let mut flow = Flow::new(server.target, Policy::Fail);
            flow.translator = flow.translator.holding(WHOLE);
            translate(&mut flow, snapshot(&mut client, b"s")).unwrap();
            let moves = flow.lines().iter().any(|line| line.starts_with("RESTORE df2redis:rebuilt:{copy}"));
            assert_eq!(moves, lines != ["XACK s g 1-1"], "{lines:?}: only if it has to be");
            carry_out(&flow, &mut client);
            let (source, copy) = (state(&mut client, b"s"), state(&mut client, b"copy"));
            if moves {
                assert_eq!(copy, source, "{} {lines:?}", server.target.format);
            }
            let read = |key: &[u8], client: &mut RedisClient| client.expect(&[b"XRANGE", key, b"-", b"+"]);
            assert_eq!(read(b"copy", &mut client).unwrap(), read(b"s", &mut client).unwrap());
            let beside = client.expect(&[b"KEYS", b"df2redis:*"]).unwrap();
            assert_eq!(beside.array().map(<[Reply]>::len), Some(0), "{beside:?}");
        }
    }
}

/// C24: an entry can be too wide to be moved by a script. Then the pending entries are a loss that is named before the key is
/// written.
#[test]
fn pending_entries_beside_wide_entries() {
    let server = servers::servers().into_iter().next().unwrap();
    let mut client = server.client();
    fill(&mut client, &["XTRIM s MINID 150"]);
    let words: Vec<Bytes> = (0..8_000).map(|n| format!("{n}").into()).collect();
    let wide: Vec<&[u8]> =
        [&b"XADD"[..], b"s", b"5000-1"].into_iter().chain(words.iter().map(|w| &w[..])).collect();
    client.expect(&wide).unwrap();
    let wire = snapshot(&mut client, b"s");
    let mut flow = Flow::new(server.target, Policy::Fail);
    flow.translator = flow.translator.holding(WHOLE);
    let error = translate(&mut flow, wire.clone()).unwrap_err();
    assert!(matches!(error, TranslateError::Unsupported { loss: Loss::Pending, .. }), "{error}");
    assert!(!flow.lines().iter().any(|line| line.starts_with("RENAME")), "nothing is under the key");
    let mut flow = Flow::new(server.target, Policy::Skip);
    flow.translator = flow.translator.holding(WHOLE);
    translate(&mut flow, wire).unwrap();
    assert_eq!(flow.translator.take_losses().iter().collect::<Vec<_>>(), [(Loss::Pending, 1)]);
    carry_out(&flow, &mut client);
    let lengths = [b"s".as_slice(), b"copy"].map(|key| client.expect(&[b"XLEN", key]).unwrap());
    assert_eq!(lengths[0], lengths[1]);
}

/// C12: without RESTORE, pending entries that are deleted are a loss. Where none is, the groups are equal.
#[test]
fn pending_entries_without_restore() {
    let server = servers::servers().into_iter().next().unwrap();
    for (lines, is_loss) in [(&["XDEL s 7-1 8-1"][..], true), (&["XACK s g 1-1", "XDEL s 1-1"], false)] {
        let mut client = server.client();
        fill(&mut client, lines);
        let wire = snapshot(&mut client, b"s");
        for policy in [Policy::Fail, Policy::Skip] {
            let rules = Rules { without_restore: true, ..Rules::from(policy) };
            let mut flow = Flow::new(server.target, rules);
            let done = translate(&mut flow, wire.clone());
            assert_eq!(done.is_err(), is_loss && policy == Policy::Fail, "{lines:?}");
            assert!(!flow.lines().iter().any(|line| line.starts_with("RESTORE")));
            if done.is_ok() {
                assert_eq!(flow.translator.take_losses().is_empty(), !is_loss, "{lines:?}");
                carry_out(&flow, &mut client);
            }
        }
        if !is_loss {
            let mut pending =
                |key: &[u8]| client.expect(&[b"XPENDING", key, b"g", b"-", b"+", b"999"]).unwrap();
            let count = |reply: &Reply| reply.array().map(<[Reply]>::len);
            assert_eq!((count(&pending(b"copy")), count(&pending(b"s"))), (Some(299), Some(299)));
        }
    }
}
