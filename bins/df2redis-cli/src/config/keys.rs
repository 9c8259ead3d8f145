//! The names of the settings, which are those of the flags of `replicate`, and what each takes. Nothing here has to follow the
//! settings: names come from the command line, and types are found out with samples.

use clap::{Args, Command};
use toml::{Table, Value};

use crate::flags::{ReplicateFlags, Settings};
use crate::logs::flags::LogFlags;

/// Flags that are no settings.
pub(super) const ONLY_FLAGS: [&str; 2] = ["config", "force-resync"];

/// The flags of `replicate`, those of every command among them.
fn replicate() -> Command {
    LogFlags::augment_args(ReplicateFlags::augment_args(Command::new("replicate")))
}

/// The keys that a file may hold: those flags of `replicate` that are settings.
pub(super) fn known_keys() -> Vec<String> {
    let replicate = replicate();
    let flags = replicate.get_arguments().filter_map(|flag| flag.get_long());
    let settings = flags.filter(|flag| !ONLY_FLAGS.contains(flag) && !matches!(*flag, "help" | "version"));
    settings.map(str::to_owned).collect()
}

/// Every setting with its default, as the help has it.
pub(super) fn defaults() -> Vec<(String, Option<String>)> {
    let replicate = replicate();
    let flags = replicate.get_arguments();
    let known = known_keys();
    let default_of = |flag: &clap::Arg| {
        let help = flag.get_help().map(ToString::to_string)?;
        let (_, default) = help.rsplit_once("[default: ")?;
        Some(default.trim_end_matches(['.', ']']).to_owned())
    };
    let named = flags.filter_map(|flag| Some((flag.get_long()?.to_owned(), default_of(flag))));
    named.filter(|(name, _)| known.contains(name)).collect()
}

/// Whether a setting takes this value.
pub(super) fn takes(key: &str, value: impl Into<Value>) -> bool {
    Table::from_iter([(key.to_owned(), value.into())]).try_into::<Settings>().is_ok()
}

/// The type of a setting, in words.
pub(super) fn expected(key: &str) -> String {
    let is_beyond = |most: &i64| !takes(key, most.saturating_add(1));
    match [i64::from(u8::MAX), i64::from(u16::MAX)].into_iter().find(is_beyond) {
        _ if takes(key, "a") => "a text is expected, in quotes".to_owned(),
        _ if takes(key, true) => "true or false is expected, without quotes".to_owned(),
        _ if takes(key, vec!["a"]) => "a list of texts is expected, such as [\"a\", \"b\"]".to_owned(),
        Some(most) => format!("a number is expected, from 0 to {most}, without quotes"),
        None => "a number is expected, whole and not negative, without quotes".to_owned(),
    }
}

/// The value of a setting that is written as a text, as in a variable. The members of a list are separated by commas.
pub(super) fn of_text(key: &str, text: &str) -> Result<Value, String> {
    let list = || text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>();
    let forms = [
        Some(Value::from(text)),
        text.trim().parse::<i64>().ok().map(Value::from),
        text.trim().parse::<bool>().ok().map(Value::from),
        Some(Value::from(list())),
    ];
    let form = forms.into_iter().flatten().find(|form| takes(key, form.clone()));
    form.ok_or_else(|| expected(key).replace(", without quotes", ""))
}

/// What is said of a key that there is not.
pub(super) fn unknown_key(key: &str, known: &[String]) -> String {
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
pub(super) fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let near = known.iter().map(|known| (strsim::osa_distance(name, known), known));
    let (edits, nearest) = near.min_by_key(|(edits, _)| *edits)?;
    (edits.saturating_mul(3) <= name.len()).then_some(nearest.as_str())
}
