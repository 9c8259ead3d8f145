//! C16: passwords that change while a run goes on, as tokens do that live for a quarter of an hour.

use std::sync::Arc;
use std::time::Duration;

use dfly_journal::Lsn;
use dfly_replica::{Blame, EngineConfig, Error, Reconnect, RefetchOutcome, Report, SourceKey};
use dfly_testkit::{Hold, MasterOptions, RedisClient, RedisCluster, RedisServer, Script, ScriptedMaster};
use dfly_wire::DbIndex;
use redis_resp::connection::{Credentials, Password};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::run::redis;
use crate::workload::{LIMIT, Run, assert_equal, patient};

/// A file with a password, in a folder of its own.
struct PasswordFile(TempDir);

impl PasswordFile {
    fn new(password: &str) -> Self {
        let file = Self(tempfile::tempdir().unwrap());
        file.write(password);
        file
    }

    fn write(&self, password: &str) {
        std::fs::write(self.0.path().join("password"), format!("{password}\n")).unwrap();
    }

    fn credentials(&self, user: Option<&str>) -> Option<Credentials> {
        let password = Password::File(self.0.path().join("password"));
        Some(Credentials { user: user.map(str::to_owned), password })
    }
}

/// The user `writer` has this password from now on, and its connections are closed.
fn set_password(client: &mut RedisClient, password: &str) {
    let password = format!(">{password}");
    let set =
        [&b"ACL"[..], b"SETUSER", b"writer", b"reset", b"on", password.as_bytes(), b"+@all", b"~*", b"&*"];
    client.expect(&set).unwrap();
    client.expect(&[b"CLIENT", b"KILL", b"USER", b"writer"]).unwrap();
}

fn writes_as(file: &PasswordFile) -> impl FnOnce(&mut EngineConfig) {
    let credentials = file.credentials(Some("writer"));
    move |config| {
        patient(config);
        config.target.credentials = credentials;
    }
}

async fn waits(run: &mut Run<impl crate::run::Target>, peer: &str) {
    let tried = |report: &Report| report.retries.get(peer).copied().unwrap_or_default() >= 3;
    tokio::select! {
        ended = &mut run.task => panic!("the run ended by itself: {ended:?}"),
        tried = timeout(LIMIT, run.reports.wait_for(tried)) => assert!(tried.is_ok()),
    }
}

async fn is_refused(run: &mut Run) {
    let refused = |report: &Report| {
        let why = report.flows.iter().filter_map(|flow| flow.stalled.as_ref());
        why.count() > 0
    };
    tokio::select! {
        ended = &mut run.task => panic!("the run ended by itself: {ended:?}"),
        refused = timeout(LIMIT, run.reports.wait_for(refused)) => assert!(refused.is_ok()),
    }
    // The server has refused logins, and not only lost connections.
    let mut client = run.redis.client().unwrap();
    let log = async {
        loop {
            let log = client.expect(&[b"ACL", b"LOG"]).unwrap();
            if format!("{log:?}").matches("writer").count() > 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    assert!(timeout(LIMIT, log).await.is_ok(), "no login was refused");
}

/// In the journal: what comes meanwhile is on the target in the end, without another synchronisation.
#[tokio::test(flavor = "multi_thread")]
async fn of_the_target_in_the_journal() {
    let (redis, file) = (redis(), PasswordFile::new("one"));
    let mut client = redis.client().unwrap();
    set_password(&mut client, "one");
    let master =
        ScriptedMaster::start(Script::new(2).before("SET k v"), MasterOptions::default()).await.unwrap();
    let mut run = Run::go_on_with(master, redis, writes_as(&file));
    run.caught_up().await;
    for (round, password) in ["two", "three"].into_iter().enumerate() {
        set_password(&mut client, password);
        for n in 0..50 {
            run.master.apply(format!("SET k{n} {round}").as_str()).unwrap();
        }
        is_refused(&mut run).await;
        client.expect(&[b"ACL", b"LOG", b"RESET"]).unwrap();
        file.write(password);
        run.caught_up().await;
    }
    let report = run.ends_as_the_model().await;
    assert_eq!(report.keys(), 1, "one synchronisation");
}

/// In the snapshot: it goes on where it was.
#[tokio::test(flavor = "multi_thread")]
async fn of_the_target_in_the_snapshot() {
    let (redis, file) = (redis(), PasswordFile::new("one"));
    let mut client = redis.client().unwrap();
    set_password(&mut client, "one");
    let script = (0..300).fold(Script::new(2), |script, n| script.before(format!("SET k{n} v").as_str()));
    let hold = Some(Hold { session: 0, flow: 1, bytes: 60 });
    let master =
        ScriptedMaster::start(script, MasterOptions { hold, ..MasterOptions::default() }).await.unwrap();
    let mut run = Run::go_on_with(master, redis, writes_as(&file));
    assert!(timeout(LIMIT, run.reports.wait_for(|report| report.keys() > 100)).await.is_ok());
    set_password(&mut client, "two");
    is_refused(&mut run).await;
    file.write("two");
    run.master.release();
    let report = run.ends_as_the_model().await;
    assert_eq!(report.keys(), 300, "one synchronisation");
}

/// Every node of a cluster, one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_cluster() {
    let (cluster, file) =
        (RedisCluster::start(&crate::cluster::options()).unwrap(), PasswordFile::new("one"));
    let every = |cluster: &RedisCluster, password: &str| {
        (0..cluster.len()).for_each(|node| set_password(&mut cluster.client(node).unwrap(), password));
    };
    every(&cluster, "one");
    let master =
        ScriptedMaster::start(Script::new(2).before("SET k v"), MasterOptions::default()).await.unwrap();
    let mut run = Run::go_on_with(master, Arc::new(cluster), writes_as(&file));
    run.caught_up().await;
    every(&run.redis, "two");
    for n in 0..50 {
        run.master.apply(format!("SET k{n} v").as_str()).unwrap();
    }
    let refused = async {
        let mut client = run.redis.client(0).unwrap();
        while !format!("{:?}", client.expect(&[b"ACL", b"LOG"]).unwrap()).contains("writer") {
            tokio::task::yield_now().await;
        }
    };
    assert!(timeout(LIMIT, refused).await.is_ok() && !run.task.is_finished());
    file.write("two");
    let report =
        run.ends_as(|model, cluster| assert_equal(&model, &crate::cluster::user_keys(cluster))).await;
    assert_eq!(report.keys(), 1, "one synchronisation");
}

/// Of the source: the session that follows a lost one waits for the new password.
#[tokio::test(flavor = "multi_thread")]
async fn of_the_source() {
    let (master, file) = with_password("one", Script::new(2).before("SET k v")).await;
    let credentials = file.credentials(None);
    let mut run = Run::go_on_with(master, redis(), |config| {
        patient(config);
        config.source.credentials = credentials;
    });
    run.caught_up().await;
    run.master.set_password("two");
    run.master.cut();
    run.master.apply("SET k w").unwrap();
    waits(&mut run, "source").await;
    file.write("two");
    let report = run.ends_as_the_model().await;
    assert_eq!(report.keys(), 1, "one synchronisation");
}

/// A key that is refetched on a new connection waits too, while the session goes on.
#[tokio::test(flavor = "multi_thread")]
async fn of_the_source_for_a_refetch() {
    let (master, file) = with_password("one", Script::new(1).before("SET k v")).await;
    let credentials = file.credentials(None);
    let mut run = Run::go_on_with(master, redis(), |config| {
        patient(config);
        config.source.credentials = credentials;
    });
    run.caught_up().await;
    run.settled().await;
    run.master.set_password("two");
    run.redis.client().unwrap().expect(&[b"SET", b"k", b"damaged"]).unwrap();
    let (control, key) = (run.control.clone(), SourceKey::new(DbIndex(0), "k"));
    let refetched = tokio::spawn(async move { control.refetch(vec![key]).await });
    let asked = |report: &Report| report.flows.iter().any(|flow| flow.refetching > 0);
    assert!(timeout(LIMIT, run.reports.wait_for(asked)).await.is_ok());
    let refused = async {
        let wrong = |words: &Vec<bytes::Bytes>| words.first().is_some_and(|word| word == "AUTH");
        while run.master.commands().iter().filter(|words| wrong(words)).count() < 4 {
            tokio::task::yield_now().await;
        }
    };
    assert!(timeout(LIMIT, refused).await.is_ok() && !run.task.is_finished());
    file.write("two");
    let done = timeout(LIMIT, refetched).await.unwrap().unwrap().unwrap();
    assert!(matches!(&done[..], [(_, RefetchOutcome::Written(Lsn(_)))]), "{done:?}");
    run.ends_as_the_model().await;
}

async fn with_password(password: &str, script: Script) -> (ScriptedMaster, PasswordFile) {
    let options = MasterOptions { password: Some(password.to_owned()), ..MasterOptions::default() };
    (ScriptedMaster::start(script, options).await.unwrap(), PasswordFile::new(password))
}

/// At a start, a login that is refused ends the run, and so does a file that is not there.
#[tokio::test(flavor = "multi_thread")]
async fn at_a_start() {
    let (master, right) = with_password("one", Script::new(1).before("SET k v")).await;
    let (wrong, missing) = (PasswordFile::new("other"), PasswordFile::new("one"));
    std::fs::remove_file(missing.0.path().join("password")).unwrap();
    let mut redis = redis();
    set_password(&mut redis.client().unwrap(), "one");
    let mut master = master;
    for (source, target, words, blame) in [
        (&wrong, &right, "the source refuses the login", Blame::Source),
        (&missing, &right, "the password for the source cannot be read", Blame::Source),
        (&right, &wrong, "the target refuses the login", Blame::Target),
        (&right, &missing, "the password for the target cannot be read", Blame::Target),
    ] {
        let (source, target) = (source.credentials(None), target.credentials(Some("writer")));
        let run = Run::go_on_with(master, redis, |config| {
            patient(config);
            (config.source.credentials, config.target.credentials) = (source, target);
        });
        let error = timeout(LIMIT, run.task).await.unwrap().unwrap().unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.blame(), blame, "{error}");
        (master, redis) = (run.master, run.redis);
    }
}

/// A login that stays refused ends the run when the settings say so, and the last cause is named.
#[tokio::test(flavor = "multi_thread")]
async fn for_too_long() {
    let soon = Reconnect { give_up_after: Some(Duration::from_millis(300)), ..Reconnect::default() };
    for of_the_source in [true, false] {
        let (master, file) = with_password("one", Script::new(1).before("SET k v")).await;
        let (redis, source) = (redis(), file.credentials(None));
        let mut client = redis.client().unwrap();
        set_password(&mut client, "one");
        let mut run: Run<RedisServer> = Run::go_on_with(master, redis, |config| {
            config.source.credentials = source;
            config.target.credentials = file.credentials(Some("writer"));
            config.reconnect = soon;
        });
        run.caught_up().await;
        match of_the_source {
            true => {
                run.master.set_password("two");
                run.master.cut();
            }
            false => set_password(&mut client, "two"),
        }
        let error = timeout(LIMIT, run.task).await.unwrap().unwrap().unwrap_err();
        let peer = if of_the_source { "source" } else { "target" };
        assert!(
            error.to_string().contains(&format!("without the {peer}: the {peer} refuses the login")),
            "{error}"
        );
        assert_eq!(error.blame(), if of_the_source { Blame::Source } else { Blame::Target });
        if of_the_source {
            assert!(matches!(error, Error::GaveUp { .. }));
        }
    }
}
