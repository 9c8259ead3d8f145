//! Settings in variables of the environment: `DF2REDIS_` and the name of the flag, such as `DF2REDIS_STATE_DIR`.

use std::collections::BTreeMap;

use super::keys::{known_keys, nearest, of_text};
use super::{Given, Layer, Origin};

/// The variables by their names.
pub(crate) type Environment = BTreeMap<String, String>;

const PREFIX: &str = "DF2REDIS_";

/// A variable of the project's tests (`docs/testing.md`), which is near a setting's.
const OF_TESTS: &str = "DF2REDIS_TARGETS";

/// The setting that the variable is for.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('-', "_").to_ascii_uppercase())
}

/// The settings that variables hold. An empty variable is as good as none.
pub(super) fn layer(environment: &Environment) -> Result<Layer, String> {
    let known = known_keys();
    let mut names: Vec<String> = known.iter().map(|key| variable(key)).collect();
    names.push(format!("{PREFIX}CONFIG"));
    for name in environment.keys().filter(|name| name.starts_with(PREFIX)) {
        if let Some(near) =
            nearest(name, &names).filter(|near| near != name && name != OF_TESTS && is_slip(name, near))
        {
            return Err(format!("there is no setting for the variable {name}; did you mean {near}?"));
        }
    }
    let mut layer = Layer::new();
    for key in known {
        let name = variable(&key);
        let Some(text) = environment.get(&name).filter(|text| !text.is_empty()) else { continue };
        let value = of_text(&key, text).map_err(|error| format!("the variable {name}: {error}"))?;
        layer.insert(key, Given { value, origin: Origin::Variable });
    }
    Ok(layer)
}

/// Whether one name is the other with at most two slips of the pen. Other programs may have variables of this prefix.
fn is_slip(name: &str, near: &str) -> bool {
    strsim::osa_distance(name, near) <= 2
}

/// Whether the variable NO_COLOR asks for plain text.
pub(crate) fn is_plain(environment: &Environment) -> bool {
    environment.get("NO_COLOR").is_some_and(|value| !value.is_empty())
}
