//! `config`: shows the settings of a run, or checks them, without starting it.

use std::io::{self, Write};

use crate::config::{self, Environment, Resolved, Shown};
use crate::exit::Failure;
use crate::flags::{ConfigCommand, ConfigFlags, PrintFlags, ReplicateFlags};
use crate::logs::LogSettings;
use crate::logs::flags::LogFlags;
use crate::settings::engine_config;

/// Runs the command. `logs` are the flags of the logs, which every command has.
pub(crate) fn run(flags: &ConfigFlags, logs: &LogFlags, environment: &Environment) -> Result<(), Failure> {
    let resolve = |flags: &ReplicateFlags| {
        let mut flags = flags.clone();
        flags.settings.log = logs.clone();
        config::resolve(&flags, environment).map_err(Failure::Usage)
    };
    match &flags.command {
        ConfigCommand::Print(flags) => {
            let text = printed(&resolve(&flags.run)?, flags)?;
            io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::of_output)
        }
        ConfigCommand::Check(flags) => {
            let resolved = resolve(flags)?;
            engine_config(&resolved.settings, flags.force_resync).map_err(Failure::Usage)?;
            LogSettings::new(&resolved.settings.log, None).map_err(Failure::Usage)?;
            let notices = resolved.notices.iter().map(|notice| format!("{notice}\n")).collect::<String>();
            let text = format!("{notices}the settings can be used\n");
            io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::of_output)
        }
    }
}

fn printed(resolved: &Resolved, flags: &PrintFlags) -> Result<String, Failure> {
    let settings = config::shown(resolved, flags.all);
    match flags.format.as_deref().unwrap_or("toml") {
        "toml" => Ok(settings.iter().map(|setting| line(setting, flags.origin)).collect()),
        "json" => {
            let object: serde_json::Map<_, _> =
                settings.iter().map(|setting| json(setting, resolved)).collect();
            serde_json::to_string_pretty(&object)
                .map(|text| text + "\n")
                .map_err(|error| Failure::Other(error.into()))
        }
        other => Err(Failure::Usage(format!("--format: \"{other}\" is not one of toml, json"))),
    }
}

fn line(setting: &Shown, with_origin: bool) -> String {
    let Shown { key, value, default, origin } = setting;
    match (value, origin) {
        (Some(value), Some(origin)) if with_origin => format!("{key} = {value} # {origin}\n"),
        (Some(value), _) => format!("{key} = {value}\n"),
        (None, _) => format!("# {key}: {}\n", default.as_deref().unwrap_or("not set")),
    }
}

fn json(setting: &Shown, resolved: &Resolved) -> (String, serde_json::Value) {
    let value = match (&setting.value, resolved.given.get(&setting.key).map(|given| &given.value)) {
        // An address is shown without its password.
        (Some(shown), Some(toml::Value::String(_))) => {
            let table = format!("v = {shown}").parse::<toml::Table>().unwrap_or_default();
            serde_json::json!(table.get("v"))
        }
        (Some(_), Some(value)) => serde_json::json!(value),
        _ => serde_json::Value::Null,
    };
    (
        setting.key.clone(),
        serde_json::json!({ "value": value, "origin": setting.origin, "default": setting.default }),
    )
}
