//! redis-full-check, played by a script that behaves as its documentation says.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use dfly_check::{CheckConfig, CheckError, Finding, FullCheck, Mode, Outcome, Store, What};
use dfly_testkit::install_script;

use crate::sides::Sides;

/// The result of a round, as the documentation shows it.
fn database(path: &Path, rows: &[(&str, &str, &str, u32, u32, u32)]) {
    let database = rusqlite::Connection::open(path).unwrap();
    database
        .execute_batch(
            "CREATE TABLE key (id INTEGER PRIMARY KEY, key TEXT, type TEXT, conflict_type TEXT, db INTEGER, source_len INTEGER, target_len INTEGER);
             CREATE TABLE field (id INTEGER PRIMARY KEY, field TEXT, conflict_type TEXT, key_id INTEGER);",
        )
        .unwrap();
    for (key, kind, conflict, db, source, target) in rows {
        database
            .execute(
                "INSERT INTO key (key, type, conflict_type, db, source_len, target_len) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                (key, kind, conflict, db, source, target),
            )
            .unwrap();
    }
}

/// A program that writes what it was called with, a line of progress, and the results that lie in `folder`.
fn stand_in(folder: &Path, ends_with: u8) -> PathBuf {
    let path = folder.join("redis-full-check");
    let folder = folder.display();
    let script = format!(
        "for word in \"$@\"; do case \"$word\" in --db=*) db=\"${{word#--db=}}\";; esac; done\n\
         echo \"$@\" >> {folder}/calls\n\
         echo 'round 1 of 2: 50%'\n\
         name=$(basename \"$db\")\n\
         for round in 1 2; do [ -f {folder}/$name.$round ] && cp {folder}/$name.$round \"$db.$round\"; done\n\
         exit {ends_with}\n"
    );
    install_script(&path, &script).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn its_result_is_read() {
    let sides = Sides::standalone();
    for nth in 0..10 {
        sides.on_both(0, &format!("SET key:{nth} v"));
    }
    let folder = tempfile::tempdir().unwrap();
    database(&folder.path().join("there.db.1"), &[("passes", "string", "value", 0, 1, 1)]);
    database(
        &folder.path().join("there.db.2"),
        &[
            ("a", "string", "value", 1, 6, 6),
            ("b", "hash", "value", 0, 2, 1),
            ("c", "string", "lack_target", 0, 6, 0),
            ("d", "string", "type", 0, 6, 3),
        ],
    );
    database(
        &folder.path().join("back.db.2"),
        &[("e", "list", "lack_target", 3, 9, 0), ("a", "string", "value", 1, 6, 6)],
    );
    let program = stand_in(folder.path(), 0);
    let store = Store::temporary().unwrap();
    let config = CheckConfig { mode: Mode::Full, ..sides.config() };
    let told = Mutex::new(Vec::new());
    let full_check = FullCheck::new(program, config);
    let summary = full_check.run(&store, |line| told.lock().unwrap().push(line.to_owned())).await.unwrap();
    assert_eq!((summary.outcome(), summary.different), (Outcome::Different, 5));
    assert_eq!(told.into_inner().unwrap(), ["round 1 of 2: 50%"; 2]);
    let mut found: Vec<(u32, Vec<u8>, What)> = Vec::new();
    for (pair, finding) in store.findings(None, 100).unwrap() {
        let Finding::Different { different, .. } = finding else { panic!() };
        found.push((pair.source.db.0, pair.source.name.to_vec(), different.what[0]));
    }
    let expected = [
        (0, "b", What::Length),
        (0, "c", What::Missing),
        (0, "d", What::Type),
        (1, "a", What::Value),
        (3, "e", What::Extra),
    ];
    assert_eq!(found, expected.map(|(db, key, what)| (db, key.as_bytes().to_vec(), what)));
    let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
    let (there, back) = calls.split_once('\n').unwrap();
    let (one, other) = (sides.source.address(), sides.target.address());
    assert!(there.starts_with(&format!("--source={one} --target={other} --comparemode=1 --comparetimes=2")));
    assert!(back.starts_with(&format!("--source={other} --target={one} ")), "{back}");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_failure_is_not_equal() {
    let sides = Sides::standalone();
    let store = Store::temporary().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let failing = FullCheck::new(stand_in(folder.path(), 1), sides.config());
    let summary = failing.run(&store, |_| {}).await.unwrap();
    assert_eq!(summary.outcome(), Outcome::Incomplete);
    assert!(summary.gaps[0].contains("ended with exit status: 1"), "{:?}", summary.gaps);
    let silent = FullCheck::new(stand_in(folder.path(), 0), sides.config());
    let summary = silent.run(&store, |_| {}).await.unwrap();
    assert!(summary.gaps[0].contains("left no result"), "{:?}", summary.gaps);
    let missing = FullCheck::new(folder.path().join("nowhere"), sides.config());
    let error = missing.run(&store, |_| {}).await.unwrap_err();
    assert!(matches!(error, CheckError::NoEngine { .. }));
    assert!(error.to_string().contains("install redis-full-check"), "{error}");
    let sampled = CheckConfig { sample: Some("1%".parse().unwrap()), ..sides.config() };
    let error = FullCheck::new("x".into(), sampled).run(&store, |_| {}).await.unwrap_err();
    assert!(matches!(error, CheckError::Engine(_)), "{error}");
}
