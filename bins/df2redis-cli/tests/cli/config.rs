//! Settings from flags, variables and files, as `config print` and `config check` show them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The binary, without a variable of this machine.
    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_df2redis-cli"))
            .args(arguments)
            .env_clear()
            .envs(variables.iter().copied())
            .current_dir(self.dir.path())
            .output()
            .unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn words(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn where_each_value_is_from() {
    let place = Place::new();
    let file = place.file(
        "c.toml",
        "[source]\nurl = \"dragonfly://ann:secret@db\"\n\n[limits]\nmemory-limit = \"1GiB\"\n",
    );
    let flags = ["config", "print", "--origin", "--config", &words(&file), "--on-start", "merge"];
    let out =
        place.run(&flags, &[("DF2REDIS_TARGET", "redis://:secret@h/0"), ("DF2REDIS_ALLOW_KEYS", "a*,b*")]);
    let path = words(&file);
    let expected = format!(
        "source = \"dragonfly://ann:***@db\" # {path}, line 2\n\
         target = \"redis://:***@h/0\" # DF2REDIS_TARGET\n\
         memory-limit = \"1GiB\" # {path}, line 5\n\
         on-start = \"merge\" # --on-start\n\
         allow-keys = [\"a*\", \"b*\"] # DF2REDIS_ALLOW_KEYS\n"
    );
    assert_eq!(text(&out.stdout), expected, "{}", text(&out.stderr));
    assert!(out.status.success());
    let json = place.run(&["config", "print", "--format", "json", "--config", &path], &[]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["source"]["value"], "dragonfly://ann:***@db");
    assert_eq!(json["memory-limit"]["origin"], format!("{path}, line 5"));
}

/// What is printed is a file that says the same, with the defaults in words.
#[test]
fn what_is_printed_can_be_read() {
    let place = Place::new();
    let file = place.file(
        "c.toml",
        "source = 'dragonfly://a'\ntarget = 'redis://b'\nmax-removals = 7\nallow-types = ['set']\n",
    );
    let out = place.run(&["config", "print", "--all", "--origin", "--config", &words(&file)], &[]);
    let printed = text(&out.stdout);
    assert!(
        printed.contains("# on-start: require-empty\n") && printed.contains("# log-level: info\n"),
        "{printed}"
    );
    let again = place.file("again.toml", &printed);
    let out = place.run(&["config", "print", "--config", &words(&again)], &[]);
    assert_eq!(
        text(&out.stdout),
        "source = \"dragonfly://a\"\ntarget = \"redis://b\"\nmax-removals = 7\nallow-types = [\"set\"]\n"
    );
}

#[test]
fn what_is_wrong_is_told_before_a_start() {
    let place = Place::new();
    let good = place.file("good.toml", "source = 'a:1'\ntarget = 'b'\n");
    let out = place.run(&["config", "check", "--config", &words(&good)], &[]);
    assert_eq!((out.status.code(), text(&out.stdout)), (Some(0), "the settings can be used\n".to_owned()));
    for (file, expected) in [
        ("source = 'a'\ntarget = 'redis://:secret@b/3'\n", "it cannot name a database"),
        ("sorce = 'secret'\n", "did you mean \"source\"?"),
        ("source = 'a'\ntarget = 'b'\n[log]\nlevel = 'loud'\n", "--log-level"),
        ("source = 'a'\n", "--target"),
        ("source = 'dragonfly://:${SECRET}@a'\ntarget = 'b'\n", "the variable SECRET, which is not set"),
    ] {
        let file = place.file("bad.toml", file);
        let out = place.run(&["config", "check", "--config", &words(&file)], &[]);
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{said}");
        assert!(said.contains(expected) && !said.contains("secret"), "{said}");
    }
}

/// A file as users of the Go tool have it.
#[test]
fn a_file_of_the_go_tool() {
    let place = Place::new();
    let file = place.file(
        "config.yaml",
        "source:\n  type: dragonfly\n  addr: 10.0.0.1:6379\n  password: \"secret\"\ntarget:\n  type: redis-cluster\n  addr: n1:7000\n  cluster:\n    seeds:\n      - n2:7000\nmigrate:\n  snapshotPath: /tmp/x.rdb\n  shakeBinary: ./redis-shake\nadvanced:\n  qps: 500\n",
    );
    let out = place.run(&["config", "print", "--config", &words(&file)], &[]);
    assert_eq!(
        text(&out.stdout),
        "source = \"dragonfly://:***@10.0.0.1:6379\"\ntarget = \"redis://n1:7000,n2:7000\"\ntarget-mode = \"cluster\"\n"
    );
    let out = place.run(&["config", "check", "--config", &words(&file)], &[]);
    let said = text(&out.stdout);
    for line in [
        "line 12: migrate.snapshotPath has no meaning here",
        "line 15: advanced.qps has no meaning here",
        "the settings can be used",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

/// P35: nothing but the binary, an empty folder and no variable.
#[test]
fn what_the_program_says_of_itself() {
    let place = Place::new();
    let out = place.run(&["version", "--format", "json"], &[]);
    let version: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(version["tried_with"][0]["server"], "Dragonfly");
    assert!(text(&place.run(&["version"], &[]).stdout).contains("tried with: Dragonfly 1.40.1;"));
    for (shell, word) in
        [("bash", "complete -F"), ("zsh", "#compdef df2redis-cli"), ("fish", "complete -c df2redis-cli")]
    {
        assert!(text(&place.run(&["completions", shell], &[]).stdout).contains(word), "{shell}");
    }
    let man = text(&place.run(&["man"], &[]).stdout);
    assert!(man.contains(".TH df2redis-cli 1") && man.contains("\\-\\-state\\-dir"), "{man:.300}");
}

/// Each example is a file that can be used, and says what it seems to say.
#[test]
fn the_examples() {
    let place = Place::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.extension().is_some_and(|ending| ending == "toml" || ending == "yaml") {
            continue;
        }
        seen += 1;
        let mut text_of = std::fs::read_to_string(&path).unwrap();
        // The certificates of an example are of nobody.
        for line in [
            "tls.ca = \"/etc/df2redis/ca.pem\"\n",
            "tls.cert = \"/etc/df2redis/client.pem\"\n",
            "tls.key = \"/etc/df2redis/client.key\"\n",
        ] {
            text_of = text_of.replace(line, "");
        }
        let copy = place.file(path.file_name().unwrap().to_str().unwrap(), &text_of);
        let secrets = [("REDIS_PASSWORD", "p@ss")];
        let out = place.run(&["config", "check", "--config", &words(&copy)], &secrets);
        assert_eq!(out.status.code(), Some(0), "{}: {}", path.display(), text(&out.stderr));
        assert!(text(&out.stdout).ends_with("the settings can be used\n"), "{}", path.display());
    }
    assert_eq!(seen, 6);
    let tls = place.run(&["config", "print", "--config", &words(&folder.join("tls.toml"))], &[]);
    assert!(
        text(&tls.stdout).contains("source-tls-key = \"/etc/df2redis/client.key\"\n"),
        "{}",
        text(&tls.stderr)
    );
}
