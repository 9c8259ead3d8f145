//! A configuration file in TOML: the same settings as the flags, flat or in tables. An unknown key is an error (P33).
//!
//! `[target]` `tls-ca` is `target-tls-ca`, and `[source]` `url` is `source`. Under a heading of the help, such as `[limits]`, a
//! setting has its own name.

use std::ops::Range;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::keys::{expected, known_keys, takes, unknown_key};
use super::{Content, Given, Layer, Origin};
use crate::help::HEADINGS;

/// The key of a table that is the address of its server.
const ADDRESS: [&str; 2] = ["url", "address"];

/// Parses the text of a file. An error shows no value, because it may be an address with a password.
pub(super) fn parse(text: &str) -> Result<Content, String> {
    let syntax = |error: toml::de::Error| on_line(text, error.span(), error.message());
    let places = DeTable::parse(text).map_err(syntax)?;
    let table: Table = text.parse().map_err(syntax)?;
    let mut file = TomlFile { text, known: known_keys(), layer: Layer::new() };
    file.read(&[], places.get_ref(), &table)?;
    Ok(Content { layer: file.layer, notices: Vec::new() })
}

fn line_of(text: &str, at: Option<Range<usize>>) -> usize {
    let before = text.get(..at.map_or(0, |at| at.start)).unwrap_or(text);
    before.matches('\n').count() + 1
}

fn on_line(text: &str, at: Option<Range<usize>>, error: &str) -> String {
    format!("line {}: {}", line_of(text, at), error.replace('\n', "; "))
}

/// A file that is being read.
struct TomlFile<'a> {
    text: &'a str,
    known: Vec<String>,
    layer: Layer,
}

impl TomlFile<'_> {
    /// Reads a table and those in it; `tables` are the names that lead to it.
    fn read(&mut self, tables: &[&str], places: &DeTable<'_>, table: &Table) -> Result<(), String> {
        for (name, place) in places {
            let Some(value) = table.get(name.get_ref().as_ref()) else { continue };
            let within = match (place.get_ref(), value) {
                (DeValue::Table(places), Value::Table(table)) => Some((places, table)),
                _ => None,
            };
            let key = self.key_of(tables, name.get_ref());
            match (within, key) {
                (Some((places, table)), None) if self.is_table(tables, name.get_ref()) => {
                    let tables = [tables, &[name.get_ref().as_ref()]].concat();
                    self.read(&tables, places, table)?;
                }
                (Some(_), None) => {
                    return Err(self.wrong(
                        name,
                        &format!("there is no table [{}]", joined(tables, name.get_ref(), ".")),
                    ));
                }
                // A table and a setting may have the same name: [source].
                (Some((places, table)), Some(_)) => self.read(&[name.get_ref().as_ref()], places, table)?,
                (None, None) => {
                    let error = unknown_key(&joined(tables, name.get_ref(), "-"), &self.known);
                    return Err(self.wrong(name, &error));
                }
                (None, Some(key)) => self.take(name, &key, value.clone())?,
            }
        }
        Ok(())
    }

    fn take<'n>(
        &mut self,
        name: &Spanned<impl AsRef<str> + 'n>,
        key: &str,
        value: Value,
    ) -> Result<(), String> {
        if !takes(key, value.clone()) {
            return Err(self.wrong(name, &format!("{key}: {}", expected(key))));
        }
        let line = line_of(self.text, Some(name.span()));
        match self.layer.insert(key.to_owned(), Given { value, origin: Origin::File(line) }) {
            // Tables are read by their names, and not in the order of the file.
            Some(Given { origin: Origin::File(other), .. }) => {
                let (before, behind) = (line.min(other), line.max(other));
                Err(format!("line {behind}: {key} is set in line {before} already"))
            }
            _ => Ok(()),
        }
    }

    fn wrong<T>(&self, name: &Spanned<T>, error: &str) -> String {
        on_line(self.text, Some(name.span()), error)
    }

    /// The setting that `name` in these tables stands for.
    fn key_of(&self, tables: &[&str], name: &str) -> Option<String> {
        let is_known = |key: &str| self.known.iter().any(|known| known == key);
        let full = joined(tables, name, "-");
        if is_known(&full) {
            return Some(full);
        }
        match tables {
            [table] if ADDRESS.contains(&name) && is_known(table) => Some((*table).to_owned()),
            [table] if HEADINGS.iter().any(|heading| heading.table == *table) => {
                is_known(name).then(|| name.to_owned())
            }
            _ => None,
        }
    }

    /// Whether there is such a table: a heading, or the beginning of the names of settings.
    fn is_table(&self, tables: &[&str], name: &str) -> bool {
        let begin = joined(tables, name, "-") + "-";
        let is_heading = tables.is_empty() && HEADINGS.iter().any(|heading| heading.table == name);
        is_heading || self.known.iter().any(|known| known.starts_with(&begin))
    }
}

fn joined(tables: &[&str], name: &str, with: &str) -> String {
    tables.iter().copied().chain([name]).collect::<Vec<_>>().join(with)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::Settings;

    /// The lists among the settings whose names do not show it.
    const LISTS: [&str; 4] = ["command-alias", "rename-keys", "skip-checks", "target-address-map"];

    #[test]
    fn all_settings() {
        let file = read(
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
            | "new-source-share"
            | "verify-continuously"
            | "ready-lag"
            | "checkpoint-interval"
            | "state-interval"
            | "log-files" => "1",
            switch if switch.ends_with("-insecure") || switch.starts_with("no-") => "true",
            list if list.starts_with("allow-") || list.starts_with("block-") || LISTS.contains(&list) => {
                "['a']"
            }
            _ => "'a'",
        };
        let text: String = known_keys().iter().map(|key| format!("{key} = {}\n", of(key))).collect();
        let settings = read(&text).unwrap();
        assert_eq!((settings.rename_keys, settings.target_ops_per_second), (vec!["a".to_owned()], Some(1)));
        assert_eq!(
            (settings.tls.source.source_tls_ca, settings.tls.target.target_tls_insecure),
            (Some("a".into()), true)
        );
    }

    fn refused(text: &str) -> String {
        parse(text).unwrap_err()
    }

    fn read(text: &str) -> Result<Settings, String> {
        super::super::settings_of(&parse(text)?.layer)
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

    /// Flat and in tables, a setting is the same.
    #[test]
    fn tables() {
        let settings = read(
            "on-start = 'merge'\n[source]\nurl = 'dragonfly://a'\ntls.ca = '/ca'\n[target]\naddress = 'redis://b'\n\
             mode = 'cluster'\npassword-file = '/p'\n[target.tls]\ninsecure = true\n[limits]\nmemory-limit = '1GiB'\n\
             [relay]\nmax-bytes = '1GiB'\n[copy]\nallow-keys = ['a*']\n[log]\nlevel = 'debug'\n",
        );
        let settings = settings.unwrap();
        assert_eq!(
            (settings.source.as_deref(), settings.target.as_deref(), settings.target_mode.as_deref()),
            (Some("dragonfly://a"), Some("redis://b"), Some("cluster"))
        );
        assert_eq!(
            (
                settings.memory_limit.as_deref(),
                settings.relay_max_bytes.as_deref(),
                settings.allow_keys.len()
            ),
            (Some("1GiB"), Some("1GiB"), 1)
        );
        assert_eq!(settings.tls.source.source_tls_ca, Some("/ca".into()));
        assert!(settings.tls.target.target_tls_insecure);
        assert_eq!(settings.log.log_level.as_deref(), Some("debug"));
    }

    /// C40: a table that there is not, a key that its table has not, and a setting that is set twice.
    #[test]
    fn wrong_tables() {
        for (text, expected) in [
            ("source = 's'\n[replicate]\ntarget = 't'\n", "line 2: there is no table [replicate]"),
            (
                "[target]\nmdoe = 'x'\n",
                "line 2: there is no setting \"target-mdoe\"; did you mean \"target-mode\"?",
            ),
            ("[limits]\nmemory-limt = 'x'\n", "line 2: there is no setting \"limits-memory-limt\""),
            ("source = 's'\n[source]\nurl = 'secret'\n", "line 1: duplicate key"),
            ("[target]\nurl = 's'\naddress = 'secret'\n", "line 3: target is set in line 2 already"),
            (
                "target-mode = 's'\n[target]\nmode = 'secret'\n",
                "line 3: target-mode is set in line 1 already",
            ),
        ] {
            let error = refused(text);
            assert!(
                error.starts_with(expected)
                    || error.contains("duplicate key") && expected.contains("duplicate"),
                "{error}"
            );
            assert!(!error.contains("secret"), "{error}");
        }
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
