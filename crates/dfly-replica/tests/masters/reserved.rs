//! A source that was a target before: it has keys under the reserved names of this tool.

use dfly_replica::OnStart;
use dfly_testkit::Script;
use dfly_translate::{Loss, Policy, Rules};

use crate::resume::stops_as_the_model;
use crate::run::user_keys;
use crate::workload::{Keyspace, Run, assert_equal};

fn without_reserved(model: Keyspace) -> Keyspace {
    model.into_iter().filter(|((_, key), _)| !key.starts_with(b"df2redis")).collect()
}

fn script() -> Script {
    Script::new(2)
        .before("HSET df2redis:checkpoint flow:0 7 flows 2 source x")
        .before("SADD df2redis@old:reread:0 0:k")
        .before("SADD df2redis@:tasks old")
        .before("SET k v")
        .before(&*format!("RPUSH df2redis:big {}", "0123456789abcdef".repeat(1 << 10)))
        .during("SET df2redis:guard:0 x")
        .stable("HSET df2redis:checkpoint flow:0 8")
        .stable("MSET a 1 df2redis:guard:1 2 b 3")
        .stable("RENAME df2redis:guard:0 c")
        .stable("RENAME k df2redis:k")
        .stable("DEL df2redis:k b")
        .stable("SET behind v")
}

/// C6: they are left out, in the snapshot and in the journal, and counted, and the run's own keys stay as they are.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_former_target_are_left_out() {
    for on_start in [OnStart::RequireEmpty, OnStart::Mirror] {
        let run = Run::start_with(script(), |config| {
            config.rules = Rules::from(Policy::Fail).into();
            config.on_start = on_start;
        })
        .await;
        let report = run
            .ends_as(|model, redis| {
                assert_equal(&without_reserved(model), &user_keys(redis));
                let mut client = redis.client().unwrap();
                let source = client.expect(&[b"HGET", b"df2redis:checkpoint", b"flows"]).unwrap().text();
                assert_eq!(source.as_deref(), Some("2"));
                for key in ["df2redis:big", "df2redis@old:reread:0", "df2redis@:tasks"] {
                    assert_eq!(client.expect(&[b"EXISTS", key.as_bytes()]).unwrap().int(), Some(0), "{key}");
                }
            })
            .await;
        let losses: Vec<_> = report.losses.iter().collect();
        assert!(matches!(losses[..], [(Loss::Reserved, count)] if count >= 10), "{losses:?}");
    }
}

/// C6: a run that resumes leaves them out too.
#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_run_leaves_them_out_too() {
    let run = Run::start(Script::new(1).before("SET k v")).await;
    let (master, redis) = stops_as_the_model(run).await;
    for line in ["SET df2redis:checkpoint x", "SET k w", "DEL df2redis:checkpoint", "SET df2redis:guard:0 x"]
    {
        master.apply(line).unwrap();
    }
    let run = Run::go_on(master, redis);
    let report = run.ends_as(|model, redis| assert_equal(&without_reserved(model), &user_keys(redis))).await;
    assert!(report.losses.iter().any(|(loss, _)| loss == Loss::Reserved), "{}", report.losses);
}
