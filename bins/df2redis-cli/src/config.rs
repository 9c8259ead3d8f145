//! The configuration file: the same settings as the flags, in TOML. An unknown key is an error (P33).

use std::path::Path;

use clap::CommandFactory;

use crate::cli::{Cli, Settings};

/// Reads a configuration file.
pub(crate) fn load(path: &Path) -> Result<Settings, String> {
    let named = |error: String| format!("cannot use the configuration file {}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
    parse(&text).map_err(named)
}

fn parse(text: &str) -> Result<Settings, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    let known = known_keys();
    if let Some(unknown) = table.keys().find(|key| !known.contains(key)) {
        return Err(unknown_key(unknown, &known));
    }
    table.try_into().map_err(|error: toml::de::Error| error.to_string())
}

/// The keys that a file may hold: those flags of `replicate` that are settings.
fn known_keys() -> Vec<String> {
    let cli = Cli::command();
    let replicate = cli.find_subcommand("replicate");
    let flags =
        replicate.into_iter().flat_map(clap::Command::get_arguments).filter_map(|flag| flag.get_long());
    let settings = flags.filter(|flag| !matches!(*flag, "config" | "force-resync" | "help" | "version"));
    settings.map(str::to_owned).collect()
}

fn unknown_key(key: &str, known: &[String]) -> String {
    let nearest =
        known.iter().max_by(|a, b| strsim::jaro_winkler(key, a).total_cmp(&strsim::jaro_winkler(key, b)));
    format!("there is no setting \"{key}\"; did you mean \"{}\"?", nearest.map_or("", String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "give-up-after" | "max-removals" | "new-source-share" => "1",
            "target-ops-per-second" | "wait-replicas" => "1",
            switch if switch.ends_with("-insecure") => "true",
            "command-alias" | "rename-keys" => "['a']",
            list if list.starts_with("allow-") || list.starts_with("block-") => "['a']",
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

    /// P33: unknown keys are errors that name the nearest known one.
    #[test]
    fn unknown_keys() {
        let error = parse("state_dir = '/s'\n").unwrap_err();
        assert_eq!(error, "there is no setting \"state_dir\"; did you mean \"state-dir\"?");
        let error = parse("on-unsuported = 'warn'\n").unwrap_err();
        assert!(error.ends_with("did you mean \"on-unsupported\"?"), "{error}");
        assert!(parse("give-up-after = 'soon'\n").unwrap_err().contains("give-up-after"));
    }
}
