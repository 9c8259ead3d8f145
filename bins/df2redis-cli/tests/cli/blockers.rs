//! Whatever blocks: `prepare` finds it, `replicate` and `migrate` stop before their first write, and the sentence is the same.

use std::any::Any;
use std::time::Duration;

use dfly_testkit::{
    Answer, Capa, Certificates, ClusterOptions, MasterOptions, Op, RedisClient, RedisCluster, RedisOptions,
    RedisServer, RefusingProxy, RewritingProxy, Rewritten, Script, ScriptedMaster, ServerTls, TlsProxy,
};
use serde_json::Value;
use tokio::time::timeout;

use crate::binary::{spawn_within, stderr};

const LIMIT: Duration = Duration::from_secs(60);

/// A pair with something that blocks.
struct Planted {
    /// The check that finds it.
    check: &'static str,
    source: String,
    target: String,
    /// Further flags.
    flags: Vec<String>,
    /// Limits of the shell that the tool runs in.
    limits: &'static str,
    /// Where it must not write.
    servers: Vec<RedisClient>,
    /// Servers and files that are to stay.
    held: Vec<Box<dyn Any + Send>>,
}

/// A command that has ended.
struct Ended {
    code: Option<i32>,
    out: String,
    last: String,
}

fn script(flows: usize) -> Script {
    (0..40).fold(Script::new(flows), |script, n| script.before(format!("SET k{n} value").as_str()))
}

fn server(args: &[&str]) -> RedisServer {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    RedisServer::start(RedisOptions { append_only: true, args, ..RedisOptions::default() }).unwrap()
}

impl Planted {
    /// A source with these options, and a server with these arguments.
    async fn pair(check: &'static str, script: Script, options: MasterOptions, args: &[&str]) -> Self {
        let (master, redis) = (ScriptedMaster::start(script, options).await.unwrap(), server(args));
        let mut planted = Self {
            check,
            source: format!("dragonfly://{}", master.address()),
            target: redis.url(),
            flags: Vec::new(),
            limits: "true",
            servers: vec![redis.client().unwrap()],
            held: Vec::new(),
        };
        planted.hold(master).hold(redis);
        planted
    }

    async fn source(check: &'static str, options: MasterOptions) -> Self {
        Self::pair(check, script(2), options, &[]).await
    }

    async fn target(check: &'static str, args: &[&str]) -> Self {
        Self::pair(check, script(2), MasterOptions::default(), args).await
    }

    fn hold(&mut self, what: impl Any + Send) -> &mut Self {
        self.held.push(Box::new(what));
        self
    }

    fn with(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// Tells the target something first.
    fn told(mut self, command: &[&str]) -> Self {
        let words: Vec<&[u8]> = command.iter().map(|word| word.as_bytes()).collect();
        self.servers.first_mut().unwrap().expect(&words).unwrap();
        self
    }

    /// The source answers these itself.
    async fn answering(mut self, answers: Vec<Answer>) -> Self {
        let address = self.source.trim_start_matches("dragonfly://").parse().unwrap();
        let proxy = RefusingProxy::start(address).await.unwrap();
        proxy.answer(answers);
        self.source = format!("dragonfly://{}", proxy.address());
        self.hold(proxy);
        self
    }

    fn keys(&mut self) -> Vec<Option<i64>> {
        self.servers.iter_mut().map(|client| client.expect(&[b"DBSIZE"]).unwrap().int()).collect()
    }

    async fn ends(&self, command: &str, more: &[&str]) -> Ended {
        let state = tempfile::tempdir().unwrap();
        let servers = [command, "--source", &self.source, "--target", &self.target, "--log-level", "error"];
        let mut args: Vec<String> = servers.iter().chain(more).map(|arg| (*arg).to_owned()).collect();
        args.extend(self.flags.iter().cloned());
        if !self.flags.iter().any(|flag| flag == "--state-dir") {
            args.extend(["--state-dir".to_owned(), state.path().display().to_string()]);
        }
        let limits = self.limits;
        let output = tokio::task::spawn_blocking(move || {
            spawn_within(limits, &args.iter().map(String::as_str).collect::<Vec<_>>())
                .wait_with_output()
                .unwrap()
        });
        let output = timeout(LIMIT, output).await.unwrap().unwrap();
        let last = stderr(&output).lines().last().unwrap_or_default().to_owned();
        Ended { code: output.status.code(), out: String::from_utf8(output.stdout).unwrap(), last }
    }

    /// It is found, and stops what would write.
    async fn blocks(mut self) {
        let (check, before) = (self.check, self.keys());
        let Ended { code, out, last } = self.ends("prepare", &["--format", "json"]).await;
        assert_eq!(code, Some(13), "{check}: {last}");
        let report: Value = serde_json::from_str(&out).unwrap();
        let text = |found: &Value, field: &str| found.get(field).and_then(Value::as_str).map(str::to_owned);
        let is_it = |found: &&Value| {
            let of = (text(found, "severity"), text(found, "check"));
            of == (Some("blocker".to_owned()), Some(check.to_owned()))
        };
        let found = report.get("findings").and_then(Value::as_array).unwrap().iter().find(is_it);
        assert!(found.is_some(), "{check} is no blocker: {report:#}");
        let means = found.and_then(|found| text(found, "means")).unwrap();
        for command in ["replicate", "migrate"] {
            let Ended { code, last, .. } = self.ends(command, &["--give-up-after", "1"]).await;
            assert!(!matches!(code, None | Some(0 | 2)), "{check}: {command} ends with {code:?}: {last}");
            let (line, sentence) = (constant(&last), constant(&means));
            assert!(line.contains(&sentence), "{check}: {command} says\n{line}\nand prepare\n{sentence}");
        }
        assert_eq!(self.keys(), before, "{check}: something was written");
    }
}

/// Without the numbers, which change from one moment to the next.
fn constant(text: &str) -> String {
    text.trim_end_matches('.').chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect()
}

fn answer(command: &str, argument: Option<&str>, reply: &str) -> Answer {
    Answer { command: command.to_owned(), argument: argument.map(str::to_owned), reply: reply.to_owned() }
}

fn capa(capa: Capa) -> MasterOptions {
    MasterOptions { capa, ..MasterOptions::default() }
}

fn nobody() -> String {
    RedisServer::start(RedisOptions::default()).unwrap().address().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_source() {
    Planted::source("source-release", capa(Capa::Redis)).await.blocks().await;
    Planted::source("source-release", capa(Capa::Old)).await.blocks().await;
    Planted::source("source-role", capa(Capa::Replica)).await.blocks().await;
    let password = MasterOptions { password: Some("secret".to_owned()), ..MasterOptions::default() };
    Planted::source("source-login", password).await.blocks().await;
    let mut away = Planted::source("source-addresses", MasterOptions::default()).await;
    away.source = format!("dragonfly://{}", nobody());
    away.blocks().await;
    let index = answer("FT._LIST", None, "*1\r\n$3\r\nidx\r\n");
    Planted::source("not-copied", MasterOptions::default()).await.answering(vec![index]).await.blocks().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_target() {
    Planted::target("target-replicas", &["--min-replicas-to-write", "1"]).await.blocks().await;
    Planted::target("target-eviction", &["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"])
        .await
        .blocks()
        .await;
    let value = "v".repeat(4000);
    let large =
        (0..1000).fold(Script::new(2), |script, n| script.before(format!("SET k{n} {value}").as_str()));
    Planted::pair("target-memory", large, MasterOptions::default(), &["--maxmemory", "3mb"])
        .await
        .blocks()
        .await;
    Planted::target("target-keys", &[]).await.told(&["SET", "theirs", "v"]).blocks().await;
    let other_settings = ["HSET", "df2redis:checkpoint", "settings", "map-db 3=5"];
    Planted::target("target-positions", &[]).await.told(&other_settings).blocks().await;
    let mut limited = Planted::target("target-commands", &[]).await;
    limited = limited.told(&["ACL", "SETUSER", "some", "on", ">secret", "~*", "+@all", "-eval"]);
    limited.target = limited.target.replace("redis://", "redis://some:secret@");
    limited.blocks().await;
    let mut refused = Planted::target("target-login", &[]).await;
    refused.target = refused.target.replace("redis://", "redis://:wrong@");
    refused.blocks().await;
    let mut away = Planted::target("target-addresses", &[]).await;
    away.target = format!("redis://{}", nobody());
    away.blocks().await;
    let primary = server(&[]);
    let of = format!("127.0.0.1 {}", primary.address().port());
    let mut replica = Planted::target("target-role", &["--replicaof", &of]).await;
    replica.hold(primary);
    replica.blocks().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_them_and_at_this_host() {
    let other_db = script(2).before(Op::line("SET other v").in_db(3));
    Planted::pair("databases", other_db, MasterOptions::default(), &["--databases", "2"])
        .await
        .blocks()
        .await;
    let many = || MasterOptions::default();
    Planted::pair("target-clients", script(24), many(), &["--maxclients", "20"]).await.blocks().await;
    let mut few = Planted::pair("open-files", script(24), many(), &[]).await;
    few.limits = "ulimit -n 100";
    few.blocks().await;
    Planted::target("state-dir", &[]).await.with(&["--state-dir", "/proc/version"]).blocks().await;
    let document = answer("TYPE", Some("k7"), "+ReJSON-RL\r\n");
    Planted::target("unsupported-types", &[]).await.answering(vec![document]).await.blocks().await;
    // A set of one member that expires; its checksum is not looked at.
    let payload = "\u{20}\u{1}\u{1}a\u{4}1000\u{9}\0\0\0\0\0\0\0\0\0";
    let dump = answer("DUMP", Some("k7"), &format!("${}\r\n{payload}\r\n", payload.len()));
    let members = Planted::target("member-expiries", &[]).await;
    let members = members.with(&["--on-unsupported", "member-ttl=fail"]);
    members.answering(vec![answer("TYPE", Some("k7"), "+set\r\n"), dump]).await.blocks().await;
}

/// Another server than it seems to be.
#[tokio::test(flavor = "multi_thread")]
async fn several_servers_behind_one_address() {
    const CROSS: &str = "CROSSSLOT Keys in request don't hash to the same slot";
    let mut sharded = Planted::target("target-sharded", &[]).await;
    let redis = sharded.target.trim_start_matches("redis://").parse().unwrap();
    let proxy = RewritingProxy::start(redis, |words| {
        let has_second = words.iter().any(|word| word.ends_with(b"probe:{b}"));
        if words.first().is_some_and(|name| name == "EXISTS") && has_second {
            Rewritten::error(CROSS)
        } else {
            Rewritten::AsItIs
        }
    });
    let proxy = proxy.await.unwrap();
    sharded.target = format!("redis://{}", proxy.address());
    sharded.hold(proxy);
    sharded.blocks().await;
}

/// Certificates that nobody trusts.
#[tokio::test(flavor = "multi_thread")]
async fn without_trust() {
    let certificates = Certificates::for_loopback().unwrap();
    let tls: ServerTls = certificates.server(false);
    for check in ["source-tls", "target-tls"] {
        let mut planted = Planted::target(check, &[]).await;
        let is_source = check == "source-tls";
        let plain = if is_source { &mut planted.source } else { &mut planted.target };
        let (_, address) = plain.split_once("://").unwrap();
        let proxy = TlsProxy::start(&tls, address.parse().unwrap()).await.unwrap();
        *plain = format!("{}://{}", if is_source { "dragonflys" } else { "rediss" }, proxy.address());
        planted.hold(proxy);
        planted.blocks().await;
    }
}

/// A cluster with a planted fault.
async fn of_cluster(check: &'static str, options: &ClusterOptions, fault: impl Fn(&RedisCluster)) -> Planted {
    let cluster = RedisCluster::start(options).unwrap();
    fault(&cluster);
    let mut planted = Planted::target(check, &[]).await;
    planted.target = format!("redis://{}", cluster.node(0).unwrap().address());
    planted.servers = (0..cluster.len()).map(|node| cluster.client(node).unwrap()).collect();
    planted.hold(cluster);
    planted
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_cluster() {
    let uncovered = |cluster: &RedisCluster| {
        let slot = cluster.slot(b"k2").unwrap().to_string();
        for node in 0..cluster.len() {
            cluster.client(node).unwrap().expect(&[b"CLUSTER", b"DELSLOTS", slot.as_bytes()]).unwrap();
        }
    };
    of_cluster("cluster-slots", &ClusterOptions::default(), uncovered).await.blocks().await;
    let announced = "--cluster-announce-hostname db.invalid --cluster-preferred-endpoint-type hostname";
    let args = announced.split(' ').map(str::to_owned).collect();
    let options = ClusterOptions { args, ..ClusterOptions::default() };
    of_cluster("cluster-nodes", &options, |_| {}).await.blocks().await;
}
