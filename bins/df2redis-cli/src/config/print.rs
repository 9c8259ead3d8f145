//! The settings for people to read, with where each is from. No secret is shown.

use toml::Value;

use super::{Given, Origin, Resolved, keys};
use crate::address;

/// A setting.
#[derive(Debug, PartialEq)]
pub(crate) struct Shown {
    pub key: String,
    /// As it is written in a file; `None`: the default, which is no value of the setting.
    pub value: Option<String>,
    /// What the default is, in words, if the setting is not given.
    pub default: Option<String>,
    pub origin: Option<String>,
}

/// Every setting that is given and, with `all`, those that are not.
pub(crate) fn shown(resolved: &Resolved, all: bool) -> Vec<Shown> {
    let settings = keys::defaults().into_iter().filter_map(|(key, default)| match resolved.given.get(&key) {
        Some(given) => Some(of_given(resolved, key, given)),
        None if all => Some(Shown { key, value: None, default, origin: None }),
        None => None,
    });
    settings.collect()
}

/// The settings that are given, each with where it is from, for the API.
pub(crate) fn shown_json(resolved: &Resolved) -> serde_json::Value {
    let given = shown(resolved, false).into_iter();
    let object = given.map(|Shown { key, value, origin, .. }| {
        (key, serde_json::json!({ "value": value, "origin": origin }))
    });
    serde_json::Value::Object(object.collect())
}

fn of_given(resolved: &Resolved, key: String, given: &Given) -> Shown {
    let value = match &given.value {
        Value::String(text) if matches!(key.as_str(), "source" | "target") => {
            Value::from(address::redacted(text)).to_string()
        }
        value => value.to_string(),
    };
    let file = || resolved.file.as_ref().map_or_else(String::new, |path| path.display().to_string());
    let origin = match given.origin {
        Origin::Flag => format!("--{key}"),
        Origin::Variable => super::variables::variable(&key),
        Origin::File(0) => file(),
        Origin::File(line) => format!("{}, line {line}", file()),
    };
    Shown { key, value: Some(value), default: None, origin: Some(origin) }
}
