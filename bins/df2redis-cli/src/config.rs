//! The configuration file: the same settings as the flags, in TOML. An unknown key is an error (P33).

use std::ops::Range;
use std::path::Path;

use clap::CommandFactory;
use toml::de::DeTable;
use toml::{Table, Value};

use crate::cli::{Cli, Settings};

/// Reads a configuration file.
pub(crate) fn load(path: &Path) -> Result<Settings, String> {
    let named = |error: String| format!("cannot use the configuration file {}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
    parse(&text).map_err(named)
}

/// Parses the text of a file. An error shows no value, because it may be an address with a password.
fn parse(text: &str) -> Result<Settings, String> {
    let on_line = |at: Option<Range<usize>>, error: &str| {
        let before = text.get(..at.map_or(0, |at| at.start)).unwrap_or(text);
        format!("line {}: {}", before.matches('\n').count() + 1, error.replace('\n', "; "))
    };
    let syntax = |error: toml::de::Error| on_line(error.span(), error.message());
    let places = DeTable::parse(text).map_err(syntax)?;
    let table: Table = text.parse().map_err(syntax)?;
    let known = known_keys();
    for key in places.get_ref().keys() {
        let value = table.get(key.get_ref().as_ref());
        if let Some(error) = value.and_then(|value| wrong(key.get_ref(), value, &known)) {
            return Err(on_line(Some(key.span()), &error));
        }
    }
    table.try_into().map_err(syntax)
}

/// What is wrong with a setting, if anything.
fn wrong(key: &str, value: &Value, known: &[String]) -> Option<String> {
    match value {
        _ if known.iter().any(|name| name == key) => {
            (!takes(key, value.clone())).then(|| format!("{key}: {}", expected(key)))
        }
        Value::Table(_) => Some(format!("the settings are in no table: leave out [{key}]")),
        _ => Some(unknown_key(key, known)),
    }
}

fn takes(key: &str, value: impl Into<Value>) -> bool {
    Table::from_iter([(key.to_owned(), value.into())]).try_into::<Settings>().is_ok()
}

/// The type of a setting, in words. It is found out with samples, so that no list of types has to follow the settings.
fn expected(key: &str) -> String {
    let is_beyond = |most: &i64| !takes(key, most.saturating_add(1));
    match [i64::from(u8::MAX), i64::from(u16::MAX)].into_iter().find(is_beyond) {
        _ if takes(key, "a") => "a text is expected, in quotes".to_owned(),
        _ if takes(key, true) => "true or false is expected, without quotes".to_owned(),
        _ if takes(key, vec!["a"]) => "a list of texts is expected, such as [\"a\", \"b\"]".to_owned(),
        Some(most) => format!("a number is expected, from 0 to {most}, without quotes"),
        None => "a number is expected, whole and not negative, without quotes".to_owned(),
    }
}

/// The keys that a file may hold: those flags of `replicate` that are settings.
fn known_keys() -> Vec<String> {
    let cli = Cli::command();
    let replicate = cli.find_subcommand("replicate");
    let flags =
        replicate.into_iter().flat_map(clap::Command::get_arguments).filter_map(|flag| flag.get_long());
    let settings = flags.filter(|flag| !ONLY_FLAGS.contains(flag) && !matches!(*flag, "help" | "version"));
    settings.map(str::to_owned).collect()
}

/// Flags that a file cannot hold.
const ONLY_FLAGS: [&str; 4] = ["config", "force-resync", "log-format", "log-level"];

fn unknown_key(key: &str, known: &[String]) -> String {
    let name = key.to_ascii_lowercase().replace('_', "-");
    if ONLY_FLAGS.contains(&name.as_str()) {
        return format!(
            "\"{key}\" is a flag, and no setting of the file: write --{name} on the command line"
        );
    }
    match nearest(&name, known) {
        Some(nearest) => format!("there is no setting \"{key}\"; did you mean \"{nearest}\"?"),
        None => format!("there is no setting \"{key}\"; df2redis-cli replicate --help lists them"),
    }
}

/// The known name with the fewest edits from `name`, if they are at most a third of its letters.
fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let near = known.iter().map(|known| (strsim::osa_distance(name, known), known));
    let (edits, nearest) = near.min_by_key(|(edits, _)| *edits)?;
    (edits.saturating_mul(3) <= name.len()).then_some(nearest.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lists among the settings whose names do not show it.
    const LISTS: [&str; 3] = ["command-alias", "rename-keys", "target-address-map"];

    #[test]
    fn all_settings() {
        let file = parse(
            "source = 'dragonfly://a'\ntarget = 'redis://b'\nstate-dir = '/s'\non-unsupported = 'warn'\ngive-up-after = 9\n",
        );
        let file = file.unwrap();
        assert_eq!((file.source.as_deref(), file.give_up_after), (Some("dragonfly://a"), Some(9)));
    }

    /// Every setting that is a flag can also be in the file.
    #[test]
    fn every_setting_is_read() {
        let of = |key: &str| match key {
            "give-up-after"
            | "target-ops-per-second"
            | "wait-replicas"
            | "max-removals"
            | "new-source-share" => "1",
            switch if switch.ends_with("-insecure") => "true",
            list if list.starts_with("allow-") || list.starts_with("block-") || LISTS.contains(&list) => {
                "['a']"
            }
            _ => "'a'",
        };
        let text: String = known_keys().iter().map(|key| format!("{key} = {}\n", of(key))).collect();
        let settings = parse(&text).unwrap();
        assert_eq!((settings.rename_keys, settings.target_ops_per_second), (vec!["a".to_owned()], Some(1)));
        assert_eq!(
            (settings.tls.source.source_tls_ca, settings.tls.target.target_tls_insecure),
            (Some("a".into()), true)
        );
    }

    fn refused(text: &str) -> String {
        parse(text).unwrap_err()
    }

    /// P33, C40: unknown keys are errors that name the nearest known one, if one is near.
    #[test]
    fn unknown_keys() {
        for (key, nearest) in [
            ("state_dir", "state-dir"),
            ("on-unsuported", "on-unsupported"),
            ("give-up-atfer", "give-up-after"),
            ("Target-TLS-Cert-File", "target-tls-cert"),
        ] {
            let error = refused(&format!("source = 's'\n\n{key} = 1\n"));
            assert_eq!(error, format!("line 3: there is no setting \"{key}\"; did you mean \"{nearest}\"?"));
        }
        for key in ["x", "password", "cluster", "databases"] {
            let error = refused(&format!("{key} = 1\n"));
            assert!(error.contains(&format!("\"{key}\"; df2redis-cli replicate --help")), "{error}");
        }
        assert!(refused("force_resync = true\n").contains("write --force-resync on the command line"));
    }

    /// C40: a setting in a table would not be the setting of that name.
    #[test]
    fn tables() {
        let error = refused("source = 's'\n[replicate]\ntarget = 't'\n");
        assert_eq!(error, "line 2: the settings are in no table: leave out [replicate]");
        assert_eq!(refused("[source]\nurl = 's'\n"), "line 1: source: a text is expected, in quotes");
    }

    /// C40: a value of another type is an error in words, with its key and line. No value is shown.
    #[test]
    fn types_in_words() {
        for (line, words) in [
            ("give-up-after = 'secret'", "a number is expected, whole"),
            ("give-up-after = -1", "a number is expected, whole and not negative"),
            ("give-up-after = 1.5", "a number is expected, whole"),
            ("wait-replicas = 70000", "a number is expected, from 0 to 65535"),
            ("max-removals = true", "a number is expected, from 0 to 255"),
            ("memory-limit = 1000", "a text is expected, in quotes"),
            ("state-dir = ['secret']", "a text is expected"),
            ("target-tls-insecure = 'yes'", "true or false is expected"),
            ("allow-keys = 'secret'", "a list of texts is expected"),
            ("allow-keys = [1]", "a list of texts is expected"),
        ] {
            let (error, key) = (refused(&format!("\n{line}\n")), line.split(' ').next().unwrap());
            assert!(error.starts_with(&format!("line 2: {key}: {words}")), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    /// C40: what is not TOML is one line too, and shows no password.
    #[test]
    fn text_that_is_not_toml() {
        for text in [
            "\nsource = dragonfly://:secret@h\n",
            "\nsource = 'dragonfly://:secret@h\n",
            "\nsource: secret\n",
            "\nsource = \"a\\secret\"\n",
            "a = 1\na = 'secret'\n",
        ] {
            let error = refused(text);
            assert!(error.starts_with("line 2: ") && !error.contains('\n'), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
