//! Configuration files of the Go tool, in YAML: its keys are read, mapped to the settings, and reported where they have no
//! meaning here (`docs/from-the-go-tool.md`, which a test holds to the table below).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value as Json;
use toml::Value;

use super::keys::nearest;
use super::{Content, Given, Layer, Origin};
use crate::settings::CHECKPOINT_INTERVAL;

/// What becomes of a key.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// It is this setting, or a part of it.
    Setting(&'static str),
    /// It has no meaning here, for this reason.
    Nothing(&'static str),
}

use Fate::{Nothing, Setting};

const NO_SHAKE: &str = "there is no RDB file and no RedisShake: the snapshot is read from Dragonfly itself";
const ON_TARGET: &str = "positions are stored on the target with every transaction";

/// Every key of the Go tool.
const KEYS: &[(&str, Fate)] = &[
    ("taskName", Setting("task-name")),
    ("stateDir", Setting("state-dir")),
    ("statusFile", Nothing("the state file is state.json in --state-dir")),
    ("source.type", Nothing("the source is a Dragonfly")),
    ("source.addr", Setting("source")),
    ("source.password", Setting("source")),
    ("source.tls", Setting("source")),
    ("target.type", Setting("target-mode")),
    ("target.addr", Setting("target")),
    ("target.password", Setting("target")),
    ("target.tls", Setting("target")),
    ("target.cluster.seeds", Setting("target")),
    ("migrate.snapshotPath", Nothing(NO_SHAKE)),
    ("migrate.shakeBinary", Nothing(NO_SHAKE)),
    ("migrate.shakeArgs", Nothing(NO_SHAKE)),
    ("migrate.shakeConfigFile", Nothing(NO_SHAKE)),
    ("migrate.autoBgsave", Nothing(NO_SHAKE)),
    ("migrate.bgsaveTimeoutSeconds", Nothing(NO_SHAKE)),
    (
        "migrate.snapshotOnly",
        Nothing("migrate ends behind the snapshot, and replicate follows the writes until it is stopped"),
    ),
    ("checkpoint.enabled", Nothing(ON_TARGET)),
    ("checkpoint.intervalSeconds", Setting("checkpoint-interval")),
    ("checkpoint.path", Nothing(ON_TARGET)),
    ("conflict.policy", Setting("on-conflict")),
    ("log.dir", Setting("log-dir")),
    ("log.level", Setting("log-level")),
    ("log.consoleEnabled", Nothing("log lines also go to standard error, which can be sent elsewhere")),
    ("dashboard.addr", Setting("dashboard-addr")),
    ("advanced.qps", Nothing("--snapshot-bytes-per-second and --target-ops-per-second limit the rate")),
    ("advanced.batchSize", Nothing("batches have a size of their own")),
];

/// The values. All are read as texts, so that a password of digits keeps its zeros.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct GoFile {
    task_name: Option<String>,
    state_dir: Option<PathBuf>,
    source: Server,
    target: Server,
    checkpoint: Checkpoint,
    conflict: Conflict,
    log: Log,
    dashboard: Dashboard,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Server {
    r#type: Option<String>,
    addr: Option<String>,
    password: Option<String>,
    tls: bool,
    cluster: Cluster,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cluster {
    seeds: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Checkpoint {
    interval_seconds: Option<u64>,
}

impl Checkpoint {
    /// Within what the source allows.
    fn interval(&self) -> Option<Value> {
        let seconds = self.interval_seconds?.clamp(1, CHECKPOINT_INTERVAL);
        i64::try_from(seconds).ok().map(Value::from)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Conflict {
    policy: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Log {
    dir: Option<PathBuf>,
    level: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Dashboard {
    addr: Option<String>,
}

impl Dashboard {
    /// The Go tool listens at every address of the host where only a port is named.
    fn is_port_alone(&self) -> bool {
        self.addr.as_ref().is_some_and(|at| at.starts_with(':'))
    }

    fn address(&self) -> Option<Value> {
        let at = self.addr.as_ref().filter(|at| !at.is_empty())?;
        let host = if self.is_port_alone() { "127.0.0.1" } else { "" };
        Some(Value::from(format!("{host}{at}")))
    }
}

/// Parses the text of a file that lies in `folder`. An error shows no value, because it may be a password.
pub(super) fn parse(text: &str, folder: &Path) -> Result<Content, String> {
    let keys: BTreeMap<String, Json> = serde_saphyr::from_str(text).map_err(|error| in_words(&error))?;
    let found = flattened(text, &keys)?;
    let file: GoFile = serde_saphyr::from_str(text).map_err(|error| in_words(&error))?;
    let reader = Reader { folder, lines: &found };
    let reason = |(key, line): (&&str, &usize)| match fate(key)? {
        Nothing(reason) => Some(format!("line {line}: {key} has no meaning here: {reason}")),
        Setting(_) => None,
    };
    let mut notices: Vec<String> = found.iter().filter_map(reason).collect();
    notices.extend(reader.warnings(&file));
    Ok(Content { layer: reader.layer(file), notices })
}

fn in_words(error: &serde_saphyr::Error) -> String {
    let line = error.location().map_or(1, |at| at.line());
    format!(
        "line {line}: this is not YAML as the Go tool reads it, or a value is of another kind than its key takes"
    )
}

fn fate(path: &str) -> Option<Fate> {
    KEYS.iter().find(|(key, _)| *key == path).map(|(_, fate)| *fate)
}

/// Every key of the file that has a value, with its line. A key that the Go tool has not is an error.
fn flattened(text: &str, keys: &BTreeMap<String, Json>) -> Result<BTreeMap<&'static str, usize>, String> {
    let mut found = BTreeMap::new();
    let mut left: Vec<(String, &Json)> = keys.iter().map(|(key, value)| (key.clone(), value)).collect();
    while let Some((path, value)) = left.pop() {
        let line = line_of(text, &path);
        let is_group = KEYS.iter().any(|(key, _)| key.starts_with(&format!("{path}.")));
        match (value, KEYS.iter().find(|(key, _)| *key == path)) {
            (Json::Null, _) if is_group => {}
            (Json::Object(within), None) if is_group => {
                left.extend(within.iter().map(|(key, value)| (format!("{path}.{key}"), value)));
            }
            (_, Some((key, _))) => drop(found.insert(*key, line)),
            (_, None) => return Err(format!("line {line}: {}", unknown(&path))),
        }
    }
    Ok(found)
}

fn unknown(path: &str) -> String {
    let known: Vec<String> = KEYS.iter().map(|(key, _)| (*key).to_owned()).collect();
    match nearest(path, &known) {
        Some(nearest) => format!("the Go tool has no key \"{path}\"; did you mean \"{nearest}\"?"),
        None => format!("the Go tool has no key \"{path}\"; docs/from-the-go-tool.md lists its keys"),
    }
}

/// The line of a key. The Go tool takes one key a line.
fn line_of(text: &str, path: &str) -> usize {
    let mut lines = text.lines().enumerate();
    let mut at = 0;
    for key in path.split('.') {
        let begins = |line: &str| {
            line.trim_start()
                .trim_matches(['"', '\''])
                .strip_prefix(key)
                .is_some_and(|rest| rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':'))
        };
        match lines.find(|(_, line)| begins(line)) {
            Some((found, _)) => at = found,
            None => break,
        }
    }
    at + 1
}

/// What the values are here.
struct Reader<'a> {
    folder: &'a Path,
    lines: &'a BTreeMap<&'static str, usize>,
}

impl Reader<'_> {
    fn layer(&self, file: GoFile) -> Layer {
        let text = |text: Option<String>| text.filter(|text| !text.is_empty()).map(Value::from);
        let path = |path: Option<PathBuf>| {
            let path = path.filter(|path| !path.as_os_str().is_empty())?;
            Some(Value::from(self.folder.join(path).display().to_string()))
        };
        let merges = file.conflict.policy.as_deref().is_some_and(is_protective);
        let values = [
            ("taskName", text(file.task_name)),
            ("stateDir", path(file.state_dir)),
            ("source.addr", address(&file.source, ["dragonfly", "dragonflys"])),
            ("target.addr", address(&file.target, ["redis", "rediss"])),
            ("target.type", mode(file.target.r#type.as_deref())),
            ("checkpoint.intervalSeconds", file.checkpoint.interval()),
            ("conflict.policy", text(file.conflict.policy)),
            ("log.dir", path(file.log.dir)),
            ("log.level", text(file.log.level.map(|level| level.to_ascii_lowercase()))),
            ("dashboard.addr", file.dashboard.address()),
        ];
        let given = |key: &str, value: Option<Value>| {
            let line = self.lines.get(key).copied().unwrap_or_default();
            Some(Given { value: value?, origin: Origin::File(line) })
        };
        let of_setting = |(key, value): (&str, Option<Value>)| match fate(key)? {
            Setting(setting) => Some((setting.to_owned(), given(key, value)?)),
            Nothing(_) => None,
        };
        let merge = given("conflict.policy", merges.then(|| Value::from("merge")));
        let merge = merge.map(|merge| ("on-start".to_owned(), merge));
        values.into_iter().filter_map(of_setting).chain(merge).collect()
    }

    fn warnings(&self, file: &GoFile) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut warn = |key: &str, text: &str| {
            let line = self.lines.get(key).copied().unwrap_or_default();
            warnings.push(format!("line {line}: {key}: {text}"));
        };
        if file.target.tls {
            warn("target.tls", "the Go tool wrote without TLS even so; here the target must speak TLS");
        }
        if file.source.tls {
            warn("source.tls", "the Go tool refused it; here the source is read with TLS");
        }
        if file.checkpoint.interval_seconds.is_some_and(|seconds| seconds > CHECKPOINT_INTERVAL) {
            warn("checkpoint.intervalSeconds", "here it is 10 at the most, which the source needs");
        }
        if file.dashboard.is_port_alone() {
            warn(
                "dashboard.addr",
                "the Go tool listened at every address of this host; here it is 127.0.0.1 unless a host is named",
            );
        }
        if file.conflict.policy.as_deref().is_some_and(is_protective) {
            warn("conflict.policy", "the Go tool did not carry it out; here it holds, with --on-start merge");
        }
        warnings
    }
}

fn is_protective(policy: &str) -> bool {
    matches!(policy, "skip" | "panic")
}

/// The address of a server, with its login.
fn address(server: &Server, [plain, encrypted]: [&str; 2]) -> Option<Value> {
    let mut hosts: Vec<&str> = server.addr.iter().chain(&server.cluster.seeds).map(String::as_str).collect();
    hosts.retain(|host| !host.is_empty());
    let mut seen = std::collections::BTreeSet::new();
    hosts.retain(|host| seen.insert(*host));
    let password = server.password.as_deref().filter(|password| !password.is_empty());
    let login = password.map(|password| format!(":{}@", utf8_percent_encode(password, NON_ALPHANUMERIC)));
    let scheme = if server.tls { encrypted } else { plain };
    let address = format!("{scheme}://{}{}", login.unwrap_or_default(), hosts.join(","));
    (!hosts.is_empty()).then(|| Value::from(address))
}

/// The kind of the target, where the Go tool's word says one.
fn mode(kind: Option<&str>) -> Option<Value> {
    match kind? {
        kind if kind.contains("cluster") => Some("cluster".into()),
        "redis-standalone" => Some("standalone".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::Settings;

    const REPLICATE: &str = r#"
# replicate into one Redis
taskName: orders
stateDir: ./state
source:
  type: dragonfly
  addr: 10.0.0.1:6379
  password: "p@ss: 1"   # of the default user
target:
  type: redis-standalone
  addr: '10.0.0.2:6379'
  password: 007
migrate:
  snapshotPath: /tmp/dump.rdb
  shakeBinary: ./redis-shake
checkpoint:
  enabled: true
  intervalSeconds: 5
conflict:
  policy: overwrite
log:
  dir: logs
  level: INFO
  consoleEnabled: false
dashboard:
  addr: :8080
advanced:
  qps: 0
  batchSize: 500
"#;

    const CLUSTER: &str = "
source:
  addr: df:6379
  tls: true
target:
  type: redis-cluster
  addr: n1:7000
  tls: true
  cluster:
    seeds:
      - n1:7000
      - n2:7001
conflict:
  policy: skip
dashboard:
  addr: 10.0.0.9:8080
";

    fn read(text: &str) -> (Settings, Vec<String>) {
        let content = parse(text, Path::new("/etc/df2redis")).unwrap();
        (super::super::settings_of(&content.layer).unwrap(), content.notices)
    }

    #[test]
    fn a_file_for_one_server() {
        let (settings, notices) = read(REPLICATE);
        assert_eq!(settings.source.as_deref(), Some("dragonfly://:p%40ss%3A%201@10.0.0.1:6379"));
        assert_eq!(settings.target.as_deref(), Some("redis://:007@10.0.0.2:6379"));
        assert_eq!(
            (settings.task_name.as_deref(), settings.target_mode.as_deref(), settings.on_conflict.as_deref()),
            (Some("orders"), Some("standalone"), Some("overwrite"))
        );
        assert_eq!(settings.state_dir, Some("/etc/df2redis/./state".into()));
        assert_eq!(settings.checkpoint_interval, Some(5));
        assert_eq!(
            (settings.log.log_dir, settings.log.log_level.as_deref()),
            (Some("/etc/df2redis/logs".into()), Some("info"))
        );
        assert_eq!(settings.control.dashboard_addr.as_deref(), Some("127.0.0.1:8080"));
        for key in [
            "line 14: migrate.snapshotPath",
            "line 17: checkpoint.enabled",
            "advanced.batchSize",
            "dashboard.addr: the Go tool listened at every address",
        ] {
            assert!(notices.iter().any(|notice| notice.contains(key)), "{key} in {notices:#?}");
        }
    }

    #[test]
    fn a_file_for_a_cluster() {
        let (settings, notices) = read(CLUSTER);
        assert_eq!(settings.source.as_deref(), Some("dragonflys://df:6379"));
        assert_eq!(settings.target.as_deref(), Some("rediss://n1:7000,n2:7001"));
        assert_eq!(
            (settings.target_mode.as_deref(), settings.on_conflict.as_deref(), settings.on_start.as_deref()),
            (Some("cluster"), Some("skip"), Some("merge"))
        );
        assert!(notices.iter().any(|notice| notice.starts_with("line 8: target.tls")), "{notices:#?}");
        assert_eq!(settings.control.dashboard_addr.as_deref(), Some("10.0.0.9:8080"));
        assert!(!notices.iter().any(|notice| notice.contains("dashboard")), "{notices:#?}");
    }

    /// P33: the Go tool ignored unknown keys without a word.
    #[test]
    fn unknown_keys() {
        for (text, expected) in [
            (
                "source:\n  addres: secret\n",
                "line 2: the Go tool has no key \"source.addres\"; did you mean \"source.addr\"?",
            ),
            ("checkpoint:\n  dir: secret\n", "line 2: the Go tool has no key \"checkpoint.dir\""),
            ("checkpoint: 3\n", "line 1: the Go tool has no key \"checkpoint\""),
            ("taskname: secret\n", "line 1: the Go tool has no key \"taskname\"; did you mean \"taskName\"?"),
            ("a: 'secret\n", "line "),
            ("source:\n  tls: secret\n", "line 2: "),
            ("taskName: secret\ntaskName: secret\n", "line 2: "),
        ] {
            let error = parse(text, Path::new("")).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    /// The document and the table say the same of every key.
    #[test]
    fn the_document_lists_every_key() {
        let document = std::fs::read_to_string("../../docs/from-the-go-tool.md").unwrap();
        for (key, fate) in KEYS {
            let row = match fate {
                Setting(setting) => format!("| `{key}` | `{setting}` |"),
                Nothing(reason) => format!("| `{key}` | none: {reason} |"),
            };
            assert!(document.contains(&row), "docs/from-the-go-tool.md lacks this row:\n{row}");
        }
    }
}
