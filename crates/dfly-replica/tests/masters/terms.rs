//! What a start finds on the target, and what it does about it: other settings, another source, keys of others.

use dfly_replica::{EngineConfig, Error, OnConflict, OnStart};
use dfly_testkit::{MasterOptions, RedisServer, Script, ScriptedMaster};
use dfly_translate::{Choice, Glob, Policy, Rules, Selection};
use tokio::time::timeout;

use crate::resume::stops_as_the_model;
use crate::run::{redis, user_keys};
use crate::workload::{LIMIT, Run, patient};

async fn ended(run: Run) -> (ScriptedMaster, RedisServer, Error) {
    let ended = timeout(LIMIT, run.task).await.unwrap().unwrap();
    (run.master, run.redis, ended.unwrap_err())
}

async fn master(script: Script) -> ScriptedMaster {
    ScriptedMaster::start(script, MasterOptions::default()).await.unwrap()
}

/// The string that a key of database 0 holds.
fn value(redis: &RedisServer, key: &str) -> Option<String> {
    redis.client().unwrap().expect(&[b"GET", key.as_bytes()]).unwrap().text()
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn set(redis: &RedisServer, key: &str, value: &str) {
    redis.client().unwrap().expect(&[b"SET", key.as_bytes(), value.as_bytes()]).unwrap();
}

fn letters(config: &mut EngineConfig) {
    let keys = Choice { allow: vec![Glob::new("[a-z]")], block: Vec::new() };
    let selection = Selection { keys, ..Selection::default() };
    config.rules = Rules { selection, ..Rules::from(Policy::Fail) }.into();
}

/// A run with settings that write something else does not go on from where another stood, and leaves everything as it is.
/// How a loss is told is no such setting.
#[tokio::test(flavor = "multi_thread")]
async fn other_settings_are_refused() {
    let run = Run::start(Script::new(2).before("SET s v").before("SET long v")).await;
    let (master, redis) = stops_as_the_model(run).await;
    let (master, redis, error) = ended(Run::go_on_with(master, redis, letters)).await;
    let Error::OtherSettings { was, is } = &error else { panic!("{error}") };
    assert_eq!((was.as_str(), is.as_str()), ("the defaults", "allow-keys [a-z]"));
    let warn = |config: &mut EngineConfig| config.rules = Rules::from(Policy::Warn).into();
    master.apply("SET s w").unwrap();
    let (master, redis) = stops_as_the_model(Run::go_on_with(master, redis, warn)).await;
    let (master, redis, _) = ended(Run::go_on_with(master, redis, letters)).await;
    let forced = |config: &mut EngineConfig| {
        letters(config);
        config.force_resync = true;
    };
    let run = Run::go_on_with(master, redis, forced);
    run.master.apply("SET long w").unwrap();
    run.master.apply("SET s x").unwrap();
    run.ends_as(|_, redis| {
        assert_eq!((value(redis, "s"), value(redis, "long")), (text("x"), text("v")));
    })
    .await;
}

/// Positions of another source, or of another number of shards: the first start refuses; told to go on, it makes the target
/// equal to the new one.
#[tokio::test(flavor = "multi_thread")]
async fn another_source_is_refused() {
    for shards in [2, 3] {
        let run =
            Run::start(Script::new(2).before("RPUSH l a b").before("SET s v").before("SET gone v")).await;
        let (first, redis) = stops_as_the_model(run).await;
        let other = match shards {
            2 => {
                first.restart();
                first.apply("DEL gone").unwrap();
                first
            }
            _ => master(Script::new(3).before("SET l text").before("SADD s a b").before("INCR n")).await,
        };
        let (other, redis, error) = ended(Run::go_on_with(other, redis, patient)).await;
        assert!(matches!(error, Error::OtherSource { .. }), "{error}");
        assert_eq!(value(&redis, "gone"), text("v"), "nothing is touched");
        let run = Run::go_on_with(other, redis, |config| {
            patient(config);
            config.force_resync = true;
        });
        run.ends_as_the_model().await;
    }
}

/// Positions that are not whole count as an unfinished synchronisation: it is done again, and no key is left of before.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_positions_are_not_gone_on_from() {
    for damage in
        [&["HDEL", "flow:1"][..], &["HSET", "flow:0", "x 7"], &["HDEL", "flows"], &["HSET", "flows", "0"]]
    {
        let run = Run::start(Script::new(2).before("SET s v").before("SET gone v")).await;
        let (master, redis) = stops_as_the_model(run).await;
        let words: Vec<&[u8]> = [damage[0], "df2redis:checkpoint"]
            .iter()
            .chain(&damage[1..])
            .map(|word| word.as_bytes())
            .collect();
        redis.client().unwrap().expect(&words).unwrap();
        master.apply("DEL gone").unwrap();
        let report = Run::go_on_with(master, redis, patient).ends_as_the_model().await;
        assert_eq!(report.keys(), 1, "{damage:?}");
    }
}

/// A first start over keys of others does what it is told.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_others() {
    for on_start in [OnStart::RequireEmpty, OnStart::Merge, OnStart::Mirror, OnStart::Flush] {
        let redis = redis();
        set(&redis, "both", "theirs");
        set(&redis, "mine", "kept");
        let source = master(Script::new(2).before("SET both ours").before("RPUSH l a")).await;
        let run = Run::go_on_with(source, redis, |config| {
            patient(config);
            config.on_start = on_start;
        });
        if on_start == OnStart::RequireEmpty {
            let (_, redis, error) = ended(run).await;
            assert!(matches!(error, Error::NotEmpty { keys: 2 }), "{error}");
            assert_eq!(value(&redis, "both"), text("theirs"));
            assert!(
                redis
                    .client()
                    .unwrap()
                    .expect(&[b"KEYS", b"df2redis:*"])
                    .unwrap()
                    .array()
                    .unwrap()
                    .is_empty()
            );
            continue;
        }
        let stays = (on_start == OnStart::Merge).then(|| text("kept")).flatten();
        run.ends_as(|model, redis| {
            assert_eq!(value(redis, "both"), text("ours"));
            assert_eq!(value(redis, "mine"), stays, "{on_start:?}");
            assert_eq!(user_keys(redis).len(), model.len() + usize::from(stays.is_some()));
        })
        .await;
    }
}

/// Keys that are on both sides: the target's stays, whatever the source does with its own, or the run stops before it.
#[tokio::test(flavor = "multi_thread")]
async fn conflicts() {
    for on_conflict in [OnConflict::Skip, OnConflict::Panic] {
        let redis = redis();
        set(&redis, "both", "theirs");
        let script = Script::new(1).before("SET other v").stable("APPEND both x").stable("SET both y");
        let run = Run::go_on_with(master(script).await, redis, |config| {
            patient(config);
            config.on_start = OnStart::Merge;
            config.on_conflict = on_conflict;
        });
        if on_conflict == OnConflict::Panic {
            let (_, redis, error) = ended(run).await;
            assert!(error.to_string().contains("both"), "{error}");
            assert_eq!(value(&redis, "both"), text("theirs"));
            continue;
        }
        run.ends_as(|_, redis| {
            assert_eq!(value(redis, "both"), text("theirs"));
            assert_eq!(value(redis, "other"), text("v"));
        })
        .await;
    }
}

/// What the user has said of other keys holds for the synchronisations to come, also behind a flush, which empties the place
/// where it is noted.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_survives_a_flush() {
    for flush in ["FLUSHALL", "FLUSHDB"] {
        let redis = redis();
        set(&redis, "mine", "kept");
        let run = Run::go_on_with(master(Script::new(2).before("SET s v")).await, redis, |config| {
            patient(config);
            config.on_start = OnStart::Merge;
        });
        assert!(timeout(LIMIT, run.master.caught_up()).await.is_ok());
        run.master.apply(flush).unwrap();
        run.master.apply("SET behind v").unwrap();
        assert!(timeout(LIMIT, run.master.caught_up()).await.is_ok());
        set(&run.redis, "mine", "new");
        run.master.restart();
        assert!(timeout(LIMIT, run.master.stable()).await.is_ok());
        run.ends_as(|model, redis| {
            assert_eq!(value(redis, "mine"), text("new"), "{flush}");
            assert_eq!(user_keys(redis).len(), model.len() + 1);
        })
        .await;
    }
}
