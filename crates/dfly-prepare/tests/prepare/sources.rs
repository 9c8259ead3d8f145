//! What is wrong with a source.

use std::sync::Arc;
use std::time::Duration;

use dfly_prepare::{Check, Severity, Skipped};
use dfly_replica::{Engine, EngineConfig, Stop};
use dfly_testkit::{Answer, Capa, Certificates, MasterOptions, RefusingProxy, TlsProxy};
use dfly_translate::Policies;
use redis_resp::connection::{Credentials, Endpoint, Peer, Tls, TlsSettings};
use tokio::sync::watch;

use crate::pair::{Pair, assert_found, assert_only, endpoint, of, options, prepare, redis, script, time};
use Severity::{Blocker, Ok, Warning};

fn policies(config: &mut EngineConfig, text: &str) {
    Arc::make_mut(&mut config.rules).policies = text.parse::<Policies>().unwrap();
}

/// Who it is, and whether it lets anybody in.
#[tokio::test(flavor = "multi_thread")]
async fn who_it_is() {
    for (capa, check) in [
        (Capa::Redis, Check::SourceRelease),
        (Capa::Old, Check::SourceRelease),
        (Capa::Replica, Check::SourceRole),
    ] {
        let pair = Pair::with(script(), MasterOptions { capa, ..options() }, &[]).await;
        assert_found(&pair.found(|_| {}).await, check, Blocker, "");
    }
    let password = Some("secret".to_owned());
    let pair = Pair::with(script(), MasterOptions { password, ..options() }, &[]).await;
    assert_found(&pair.found(|_| {}).await, Check::SourceLogin, Blocker, "login");
    let right = Credentials { user: None, password: "secret".into() };
    assert_only(&pair.found(|config| config.source.credentials = Some(right)).await, &[]);
}

/// C4: what its user may not do.
#[tokio::test(flavor = "multi_thread")]
async fn users_that_lack_a_command() {
    for (command, words) in [
        ("DUMP", "unreadable-key"),
        ("INFO", "a switchover is noticed late"),
        ("SCAN", "nothing is known of keys"),
        ("EXISTS", "fall under --on-unsupported"),
        ("TIME", "this host's clock"),
        ("WATCH", "written to all the time"),
        ("CLIENT", "cutover --method none"),
    ] {
        let refused = vec![(command, "NOPERM this user has no permissions to run it")];
        let pair = Pair::with(script(), MasterOptions { refused, ..options() }, &[]).await;
        let report = pair.found(|_| {}).await;
        assert_found(&report, Check::SourceCommands, Warning, words);
    }
    let refused = vec![("PEXPIRETIME", "ERR unknown command `PEXPIRETIME`")];
    let older = Pair::with(script(), MasterOptions { refused, ..options() }, &[]).await;
    assert_only(&older.found(|_| {}).await, &[]);
}

/// The same by ACL DRYRUN, where the source has it: nothing is tried then.
#[tokio::test(flavor = "multi_thread")]
async fn users_that_lack_a_command_by_a_dry_run() {
    let not_found = "-ERR Command 'DF2REDIS.NOTHING' not found\r\n".to_owned();
    let denied =
        |command: &str| bulk(&format!("This user has no permissions to run the '{command}' command"));
    let dry_run = |command: &str, reply| Answer {
        command: "ACL".to_owned(),
        argument: Some(command.to_owned()),
        reply,
    };
    let (pair, proxy) = answering(vec![
        dry_run("DF2REDIS.NOTHING", not_found),
        dry_run("PAUSE", denied("CLIENT|PAUSE")),
        dry_run("DUMP", denied("DUMP")),
        dry_run("DRYRUN", "+OK\r\n".to_owned()),
    ])
    .await;
    let report = pair.found(|config| config.source = endpoint(Peer::Source, proxy.address())).await;
    let lacks = report.findings.iter().filter(|finding| finding.check == Check::SourceCommands);
    let lacks: Vec<&str> = lacks.map(|finding| finding.means.as_str()).collect();
    let [dump, client] = lacks.as_slice() else { panic!("{lacks:#?}") };
    assert!(
        dump.contains("may not use DUMP") && client.contains("CLIENT PAUSE (to stop writes at a cutover)")
    );
}

/// C20: a certificate that is verified, one that is accepted unseen, and one that nobody trusts.
#[tokio::test(flavor = "multi_thread")]
async fn certificates() {
    let certificates = Certificates::for_loopback().unwrap();
    let pair = Pair::new(script(), &[]).await;
    let proxy = TlsProxy::start(&certificates.server(false), pair.master.address()).await.unwrap();
    let with = |settings: TlsSettings| Endpoint {
        tls: Some(Tls::new(&settings).unwrap()),
        ..endpoint(Peer::Source, proxy.address())
    };
    let trusted = with(TlsSettings { ca: Some(certificates.ca()), ..TlsSettings::default() });
    let report = pair.found(|config| config.source = trusted).await;
    assert_only(&report, &[]);
    assert!(of(&report, Check::SourceTls).means.contains("is verified"), "{report:?}");
    let insecure = with(TlsSettings { insecure: true, ..TlsSettings::default() });
    let report = pair.found(|config| config.source = insecure).await;
    assert_found(&report, Check::SourceTls, Warning, "--source-tls-ca");
    assert_only(&report, &[Check::SourceTls]);
    let untrusted = with(TlsSettings::default());
    let report = pair.found(|config| config.source = untrusted).await;
    assert_eq!(of(&report, Check::SourceTls).severity, Blocker, "{report:?}");
}

/// C6: it was a target before.
#[tokio::test(flavor = "multi_thread")]
async fn reserved_keys() {
    let pair = Pair::new(script().before("SET df2redis:checkpoint x"), &[]).await;
    let report = pair.found(|_| {}).await;
    assert_found(&report, Check::SourceReservedKeys, Warning, "reserved-key");
    assert_only(&report, &[Check::SourceReservedKeys]);
}

/// C22: a clock that is off.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_ahead() {
    let clock = Some((|| time() + Duration::from_secs(600)) as fn() -> Duration);
    let pair = Pair::with(script(), MasterOptions { clock, ..options() }, &[]).await;
    let report = pair.found(|_| {}).await;
    assert_found(&report, Check::Clocks, Warning, "source's clock is 600 s ahead");
    assert_only(&report, &[Check::Clocks]);
}

/// A pair whose source gives these answers.
async fn answering(answers: Vec<Answer>) -> (Pair, RefusingProxy) {
    let pair = Pair::new(script(), &[]).await;
    let proxy = RefusingProxy::start(pair.master.address()).await.unwrap();
    proxy.answer(answers);
    (pair, proxy)
}

/// What the target lacks, with what each policy does; and a check that is left out.
#[tokio::test(flavor = "multi_thread")]
async fn documents() {
    let (pair, proxy) = answering(vec![answer("TYPE", Some("k7"), "+ReJSON-RL\r\n".to_owned())]).await;
    let source = endpoint(Peer::Source, proxy.address());
    let report = pair.found(|config| config.source = source.clone()).await;
    assert_found(&report, Check::UnsupportedTypes, Blocker, "11 keys of type ReJSON-RL");
    for (policy, words) in [("warn", "left out and counted (json=warn)"), ("json=string", "become strings")] {
        let found = pair.found(|config| {
            config.source = source.clone();
            policies(config, policy);
        });
        assert_found(&found.await, Check::UnsupportedTypes, Warning, words);
    }
    let mut prepare = prepare(EngineConfig { source, ..pair.config() });
    let at_start = prepare.at_start().await;
    let blocker = at_start.iter().find(|finding| finding.check == Check::UnsupportedTypes).unwrap();
    assert_eq!(blocker.sentence(), of(&report, Check::UnsupportedTypes).sentence(), "the same words");
    prepare.skipped = Skipped::named(["unsupported-types"]).unwrap();
    assert_eq!(prepare.at_start().await, Vec::new());
}

/// Members and fields that expire.
#[tokio::test(flavor = "multi_thread")]
async fn members_that_expire() {
    // A set of one member, "a", that expires; its checksum is not looked at.
    let payload = "\u{20}\u{1}\u{1}a\u{4}1000\u{9}\0\0\0\0\0\0\0\0\0";
    let answers =
        vec![answer("TYPE", Some("k77"), "+set\r\n".to_owned()), answer("DUMP", Some("k77"), bulk(payload))];
    let (pair, proxy) = answering(answers).await;
    let source = endpoint(Peer::Source, proxy.address());
    for (policy, severity, words) in [
        ("fail", Warning, "Behind the switch, nobody does"),
        ("member-ttl=fail", Blocker, "member-ttl=fail"),
        ("member-ttl=drop", Warning, "are left out"),
    ] {
        let found = pair.found(|config| {
            config.source = source.clone();
            policies(config, policy);
        });
        assert_found(&found.await, Check::MemberExpiries, severity, words);
    }
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn answer(command: &str, argument: Option<&str>, reply: String) -> Answer {
    Answer { command: command.to_owned(), argument: argument.map(str::to_owned), reply }
}

/// What a source says of itself that a scripted one does not.
async fn told(answers: Vec<Answer>) -> dfly_prepare::Report {
    let (pair, proxy) = answering(answers).await;
    pair.found(|config| config.source = endpoint(Peer::Source, proxy.address())).await
}

/// Others who follow it, its memory, commands that quirks are about, a node of a cluster, what is never copied.
#[tokio::test(flavor = "multi_thread")]
async fn what_it_says_of_itself() {
    let info = "# Server\r\ndragonfly_version:df-v1.40.1\r\n# Memory\r\nused_memory:95\r\nmaxmemory:100\r\n# Replication\r\nrole:master\r\n\
                connected_slaves:2\r\nslave0:ip=10.0.0.5,port=6379,state=stable_sync,lag=0\r\nslave1:ip=10.0.0.6,port=0,state=stable_sync,lag=0\r\n\
                # Commandstats\r\ncmdstat_bitop:calls=4,usec=2,usec_per_call=0.5\r\n# Keyspace\r\ndb0:keys=204,expires=0\r\n";
    let setting = |name: &str, value: &str| {
        answer("CONFIG", Some(name), format!("*2\r\n{}{}", bulk(name), bulk(value)))
    };
    let report = told(vec![
        answer("INFO", None, bulk(info)),
        setting("cluster_mode", "yes"),
        setting("shard_repl_backlog_len", "100"),
        answer("FT._LIST", None, "*1\r\n$3\r\nidx\r\n".to_owned()),
        answer("ACL", None, "*2\r\n$1\r\na\r\n$1\r\nb\r\n".to_owned()),
    ])
    .await;
    assert_found(&report, Check::SourceReplicas, Warning, "10.0.0.5:6379 (stable_sync) and by 1 run");
    assert_found(&report, Check::SourceMemory, Warning, "95 bytes of 100 bytes");
    assert_found(&report, Check::SourceQuirks, Warning, "BITOP");
    assert_found(&report, Check::SourceClusterMode, Warning, "node of a Dragonfly Cluster");
    assert_found(&report, Check::NotCopied, Blocker, "1 search index");
    assert_eq!(of(&report, Check::SourceRelease).severity, Ok);
    assert!(of(&report, Check::Backlog).means.contains("Nothing was written"), "{report:?}");
}

/// C5: at the rate that is measured, the backlog of that release lasts so long. A source that nobody follows keeps no journal.
#[tokio::test(flavor = "multi_thread")]
async fn a_short_backlog() {
    let setting = format!("*2\r\n{}{}", bulk("shard_repl_backlog_len"), bulk("100"));
    let (pair, proxy) = answering(vec![answer("CONFIG", Some("shard_repl_backlog_len"), setting)]).await;
    let (engine, _reports) = Engine::new(pair.config());
    let (stop, stopped) = watch::channel(Stop::Running);
    let run = tokio::spawn(engine.run(stopped));
    pair.master.stable().await;
    let other = redis(&[]);
    let mut config = pair.config();
    (config.source, config.target) =
        (endpoint(Peer::Source, proxy.address()), endpoint(Peer::Target, other.address()));
    let found = tokio::spawn(async move { prepare(config).run().await });
    let mut n = 0;
    while !found.is_finished() {
        n += 1;
        pair.master.apply(format!("SET busy{n} v").as_str()).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_found(&found.await.unwrap(), Check::Backlog, Warning, "--shard_repl_backlog_len");
    stop.send_replace(Stop::Drain);
    run.await.unwrap().unwrap();
}

/// Values that are larger than the settings allow.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_value() {
    let (pair, proxy) = answering(vec![answer("MEMORY", Some("k7"), format!(":{}\r\n", 100 << 20))]).await;
    let report = pair.found(|config| config.source = endpoint(Peer::Source, proxy.address())).await;
    assert_found(&report, Check::ValueSizes, Warning, "--memory-limit 400MiB");
}
