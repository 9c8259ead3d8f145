//! Settings of a run, from where they are given: a flag goes before a variable, a variable before the configuration file, and
//! the file before the default. The file is TOML, or YAML as the Go tool has it.

#[cfg(test)]
mod damaged;
mod go_tool;
mod keys;
mod print;
mod substitution;
mod toml_file;
mod variables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::flags::{ReplicateFlags, Settings};
use crate::logs::flags::LogFlags;

pub(crate) use print::{Shown, shown, shown_json};
pub(crate) use variables::{Environment, is_plain};

/// Where a value is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The flag of its name.
    Flag,
    /// The variable of its name.
    Variable,
    /// This line of the configuration file; 0: no line of its own.
    File(usize),
}

/// A value, and where it is from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Given {
    pub value: Value,
    pub origin: Origin,
}

/// The settings by their names.
pub(crate) type Layer = BTreeMap<String, Given>;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    pub settings: Settings,
    /// What is given, before variables in addresses are put in.
    pub given: Layer,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// What a person should know of the file.
    pub notices: Vec<String>,
}

/// What a configuration file holds.
#[derive(Debug, Default, PartialEq)]
struct Content {
    layer: Layer,
    notices: Vec<String>,
}

/// How a configuration file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileForm {
    /// TOML, flat or in tables.
    Toml,
    /// YAML with the keys of the Go tool.
    GoTool,
}

impl FileForm {
    /// By the ending of its name.
    fn of(path: &Path) -> Self {
        match path.extension() {
            Some(ending) if ending == "yaml" || ending == "yml" => Self::GoTool,
            _ => Self::Toml,
        }
    }

    fn parse(self, text: &str, folder: &Path) -> Result<Content, String> {
        match self {
            Self::Toml => toml_file::parse(text),
            Self::GoTool => go_tool::parse(text, folder),
        }
    }
}

/// The settings of a configuration file, as `config print` shows them: without secrets.
///
/// # Errors
/// What is wrong, in one line without any value.
pub fn shown_configuration(text: &str, form: FileForm) -> Result<String, String> {
    let given = form.parse(text, Path::new(""))?.layer;
    settings_of(&given)?;
    let resolved = Resolved { given, ..Resolved::default() };
    let line = |shown: Shown| Some(format!("{} = {}\n", shown.key, shown.value?));
    Ok(shown(&resolved, false).into_iter().filter_map(line).collect())
}

/// Finds the settings of a run.
pub(crate) fn resolve(flags: &ReplicateFlags, environment: &Environment) -> Result<Resolved, String> {
    let file = flags.config.clone().or_else(|| environment.get("DF2REDIS_CONFIG").map(PathBuf::from));
    let Content { mut layer, notices } = match &file {
        Some(path) => load(path)?,
        None => Content::default(),
    };
    layer.extend(variables::layer(environment)?);
    layer.extend(of_flags(&flags.settings)?);
    let settings = settings_of(&layer)?;
    let settings = substitution::substitute(settings, environment)?;
    Ok(Resolved { settings, given: layer, file, notices })
}

/// The flags of the logs of a command that has no configuration file.
pub(crate) fn log_flags(flags: &LogFlags, environment: &Environment) -> Result<LogFlags, String> {
    let mut layer = variables::layer(environment)?;
    layer.extend(of_flags(&Settings { log: flags.clone(), ..Settings::default() })?);
    settings_of(&layer).map(|settings| settings.log)
}

/// Reads a configuration file.
fn load(path: &Path) -> Result<Content, String> {
    let named = |error: String| format!("cannot use the configuration file {}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    FileForm::of(path).parse(&text, folder).map_err(named)
}

fn of_flags(flags: &Settings) -> Result<Layer, String> {
    let table = Table::try_from(flags).map_err(|error| error.to_string())?;
    let is_given =
        |value: &Value| !matches!(value, Value::Boolean(false)) && *value != Value::Array(Vec::new());
    let given = table.into_iter().filter(|(_, value)| is_given(value));
    Ok(given.map(|(key, value)| (key, Given { value, origin: Origin::Flag })).collect())
}

fn settings_of(layer: &Layer) -> Result<Settings, String> {
    let table: Table = layer.iter().map(|(key, given)| (key.clone(), given.value.clone())).collect();
    table.try_into().map_err(|error: toml::de::Error| error.message().replace('\n', "; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn flags(change: impl FnOnce(&mut Settings)) -> ReplicateFlags {
        let mut flags = ReplicateFlags::default();
        change(&mut flags.settings);
        flags
    }

    /// Each place goes before the next, and it is known which it was.
    #[test]
    fn flags_go_before_variables_and_variables_before_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        let text =
            "source = 'dragonfly://file'\n[target]\nurl = 'redis://file'\n[limits]\nmax-removals = 7\n";
        std::fs::write(&path, text).unwrap();
        let environment = environment(&[
            ("DF2REDIS_CONFIG", path.to_str().unwrap()),
            ("DF2REDIS_TARGET", "redis://variable"),
            ("DF2REDIS_STATE_DIR", "/variable"),
            ("DF2REDIS_ALLOW_KEYS", "a*,b*"),
            ("DF2REDIS_TARGET_TLS_INSECURE", "true"),
            ("HOME", "/root"),
        ]);
        let resolved = resolve(&flags(|flags| flags.state_dir = Some("/flag".into())), &environment).unwrap();
        let settings = &resolved.settings;
        assert_eq!(
            (settings.source.as_deref(), settings.target.as_deref(), settings.max_removals),
            (Some("dragonfly://file"), Some("redis://variable"), Some(7))
        );
        assert_eq!((settings.state_dir.clone(), settings.allow_keys.len()), (Some("/flag".into()), 2));
        assert!(settings.tls.target.target_tls_insecure && !settings.tls.source.source_tls_insecure);
        let origin = |key: &str| resolved.given[key].origin.clone();
        assert_eq!(
            [origin("source"), origin("max-removals"), origin("target"), origin("state-dir")],
            [Origin::File(1), Origin::File(5), Origin::Variable, Origin::Flag]
        );
    }

    /// P33: a variable with a slip of the pen has no effect, and is an error. Others may be of somebody else.
    #[test]
    fn variables_of_no_setting() {
        let error = resolve(&ReplicateFlags::default(), &environment(&[("DF2REDIS_TARGTE", "secret")]));
        let error = error.unwrap_err();
        assert!(error.contains("DF2REDIS_TARGTE; did you mean DF2REDIS_TARGET?"), "{error}");
        assert!(!error.contains("secret"), "{error}");
        let error = resolve(&ReplicateFlags::default(), &environment(&[("DF2REDIS_MAX_REMOVALS", "secret")]));
        let error = error.unwrap_err();
        assert!(error.contains("DF2REDIS_MAX_REMOVALS: a number is expected, from 0 to 255"), "{error}");
        assert!(!error.contains("secret"), "{error}");
        assert!(resolve(&ReplicateFlags::default(), &environment(&[("DF2REDIS_DRAGONFLY", "x")])).is_ok());
    }

    /// A secret may come from a variable, so that neither file nor command line holds it.
    #[test]
    fn variables_in_addresses() {
        let flags = flags(|flags| flags.source = Some("dragonfly://ann:${PASSWORD}@${HOST}:1".to_owned()));
        let of =
            |pairs: &[(&str, &str)]| resolve(&flags, &environment(pairs)).map(|found| found.settings.source);
        assert_eq!(
            of(&[("PASSWORD", "p@ss/%"), ("HOST", "h.example")]).unwrap().as_deref(),
            Some("dragonfly://ann:p%40ss%2F%25@h.example:1")
        );
        let error = of(&[("HOST", "h")]).unwrap_err();
        assert_eq!(error, "the source's address names the variable PASSWORD, which is not set");
    }
}
