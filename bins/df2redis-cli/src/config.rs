//! The configuration file: the same settings as the flags, in TOML. An unknown key is an error (P33).

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The settings a file may hold; their names are those of the flags.
const KEYS: [&str; 5] = ["source", "target", "state-dir", "on-unsupported", "give-up-after"];

/// What a file says.
#[derive(Debug, Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct File {
    pub source: Option<String>,
    pub target: Option<String>,
    pub state_dir: Option<PathBuf>,
    pub on_unsupported: Option<String>,
    pub give_up_after: Option<u64>,
}

impl File {
    /// Reads a file.
    pub(crate) fn load(path: &Path) -> Result<Self, String> {
        let named = |error: String| format!("the configuration file {}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
        Self::parse(&text).map_err(named)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
        if let Some(unknown) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(unknown_key(unknown));
        }
        table.try_into().map_err(|error: toml::de::Error| error.to_string())
    }
}

fn unknown_key(key: &str) -> String {
    let nearest =
        KEYS.into_iter().max_by(|a, b| strsim::jaro_winkler(key, a).total_cmp(&strsim::jaro_winkler(key, b)));
    format!("there is no setting \"{key}\"; did you mean \"{}\"?", nearest.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_settings() {
        let file = File::parse(
            "source = 'dragonfly://a'\ntarget = 'redis://b'\nstate-dir = '/s'\non-unsupported = 'warn'\ngive-up-after = 9\n",
        );
        let file = file.unwrap();
        assert_eq!((file.source.as_deref(), file.give_up_after), (Some("dragonfly://a"), Some(9)));
    }

    /// P33: unknown keys are errors that name the nearest known one.
    #[test]
    fn unknown_keys() {
        let error = File::parse("state_dir = '/s'\n").unwrap_err();
        assert_eq!(error, "there is no setting \"state_dir\"; did you mean \"state-dir\"?");
        let error = File::parse("on-unsuported = 'warn'\n").unwrap_err();
        assert!(error.ends_with("did you mean \"on-unsupported\"?"), "{error}");
        assert!(File::parse("give-up-after = 'soon'\n").unwrap_err().contains("give-up-after"));
    }
}
