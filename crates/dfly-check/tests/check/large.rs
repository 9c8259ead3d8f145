//! Values that are compared in pieces.

use dfly_check::{CheckConfig, Mode, Outcome, ReadLimits, What};

use crate::sides::{Side, Sides, check};

/// Everything but the smallest values is read in pieces, and the pieces are small.
fn in_pieces(sides: &Sides, mode: Mode) -> CheckConfig {
    let limits = ReadLimits { text: 64, value: 600, together: 4096 };
    CheckConfig { mode, limits, piece: 1024, big_key_threshold: 100, ..sides.config() }
}

fn each_side(sides: &Sides, mut run: impl FnMut(&mut dyn FnMut(&[&[u8]]), bool)) {
    let mut source = sides.source();
    run(&mut |words| drop(source.expect(words).unwrap()), true);
    let Side::Server(server) = &sides.target else { panic!("a server is needed") };
    let mut target = server.client().unwrap();
    run(&mut |words| drop(target.expect(words).unwrap()), false);
}

fn fill(sides: &Sides) {
    each_side(sides, |run, is_source| {
        run(&[b"SET", b"string", "x".repeat(100_000).as_bytes()]);
        for nth in 0..3000 {
            // In another order on each side.
            let nth = if is_source { nth } else { 2999 - nth };
            let (name, value) = (format!("element:{nth}"), format!("value{nth}"));
            let (name, value) = (name.as_bytes(), value.as_bytes());
            run(&[b"SADD", b"set", name]);
            run(&[b"HSET", b"hash", name, value]);
            run(&[b"ZADD", b"zset", format!("{nth}.25").as_bytes(), name]);
        }
        for nth in 1..3000 {
            let (id, value) = (format!("{nth}-1"), format!("value{nth}"));
            run(&[b"RPUSH", b"list", value.as_bytes()]);
            run(&[b"XADD", b"stream", id.as_bytes(), b"field", value.as_bytes()]);
        }
        run(&[b"XGROUP", b"CREATE", b"stream", b"g", b"0"]);
        run(&[b"XGROUP", b"CREATECONSUMER", b"stream", b"g", b"c"]);
        run(&[b"XCLAIM", b"stream", b"g", b"c", b"0", b"5-1", b"7-1", b"TIME", b"1000", b"FORCE"]);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn one_element_that_differs_is_found() {
    let sides = Sides::standalone();
    fill(&sides);
    for mode in [Mode::Smart, Mode::Full] {
        let checked = check(in_pieces(&sides, mode)).await;
        assert_eq!(checked.summary.outcome(), Outcome::Equal, "{:?}", checked.findings);
        assert_eq!(checked.summary.equal, 6);
    }
    let Side::Server(server) = &sides.target else { panic!() };
    let mut target = server.client().unwrap();
    for words in [
        &[&b"SETRANGE"[..], b"string", b"77777", b"y"][..],
        &[b"SREM", b"set", b"element:1500"],
        &[b"SADD", b"set", b"other"],
        &[b"HSET", b"hash", b"element:7", b"other"],
        &[b"ZADD", b"zset", b"8", b"element:8"],
        &[b"LSET", b"list", b"1234", b"other"],
        &[b"XDEL", b"stream", b"1000-1"],
        &[b"XACK", b"stream", b"g", b"7-1"],
    ] {
        target.expect(words).unwrap();
    }
    let checked = check(in_pieces(&sides, Mode::Full)).await;
    let different: Vec<(String, Vec<What>)> =
        checked.different().into_iter().map(|(_, key, what)| (key, what)).collect();
    let elements = |differ| What::Elements { differ };
    let expected = [
        ("hash", vec![elements(1)]),
        ("list", vec![elements(1)]),
        // One side lacks one, and the other another: each is found only where it is missing.
        ("set", vec![elements(1)]),
        ("stream", vec![What::Length, elements(1), What::StreamState, What::Pending { differ: 1 }]),
        ("string", vec![What::Value]),
        ("zset", vec![elements(1)]),
    ];
    assert_eq!(different, expected.map(|(key, what)| (key.to_owned(), what)));
    // Lengths, and samples.
    sides.target.run(0, &["SADD", "set", "another"]);
    let checked = check(in_pieces(&sides, Mode::Smart)).await;
    let found = checked.different();
    assert!(found.iter().any(|(_, key, what)| key == "set" && what.contains(&What::Length)), "{found:?}");
    let checked = check(CheckConfig { mode: Mode::Length, ..in_pieces(&sides, Mode::Length) }).await;
    let found: Vec<_> = checked.different().into_iter().map(|(_, key, what)| (key, what)).collect();
    assert_eq!(found, ["set", "stream"].map(|key| (key.to_owned(), vec![What::Length])));
}
