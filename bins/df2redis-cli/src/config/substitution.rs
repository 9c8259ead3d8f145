//! `${VARIABLE}` in addresses, so that neither a file nor a command line holds a secret.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::variables::Environment;
use crate::flags::Settings;

/// What is not encoded in a login.
const IN_LOGIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The settings with the values of the variables that their addresses name.
pub(super) fn substitute(settings: Settings, environment: &Environment) -> Result<Settings, String> {
    let put_in = |peer: &str, address: Option<String>| {
        let address = address.map(|address| of_address(&address, environment));
        address.transpose().map_err(|error| format!("the {peer}'s address {error}"))
    };
    let source = put_in("source", settings.source)?;
    let target = put_in("target", settings.target)?;
    Ok(Settings { source, target, ..settings })
}

/// A variable before the last @ is a part of the login: its value is written as it is, and encoded here.
fn of_address(address: &str, environment: &Environment) -> Result<String, String> {
    let (login, place) = match address.rsplit_once('@') {
        Some((login, place)) => (format!("{login}@"), place),
        None => (String::new(), address),
    };
    let encoded = |value: &str| utf8_percent_encode(value, IN_LOGIN).to_string();
    Ok(expand(&login, environment, encoded)? + &expand(place, environment, str::to_owned)?)
}

fn expand(text: &str, environment: &Environment, written: impl Fn(&str) -> String) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        let (name, behind) = after.split_once('}').ok_or("has a ${ without its }")?;
        let value = environment.get(name);
        let value = value.ok_or_else(|| format!("names the variable {name}, which is not set"))?;
        out.push_str(before);
        out.push_str(&written(value));
        rest = behind;
    }
    Ok(out + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables() {
        let environment = Environment::from([("A".to_owned(), "a@b".to_owned())]);
        for (address, expected) in [
            ("redis://h:1", Ok("redis://h:1")),
            ("redis://${A}@h", Ok("redis://a%40b@h")),
            ("redis://:x${A}y@h,${A}", Ok("redis://:xa%40by@h,a@b")),
            ("redis://:${B}@h", Err("names the variable B, which is not set")),
            ("redis://:${A@h", Err("has a ${ without its }")),
            ("redis://:$A@h", Ok("redis://:$A@h")),
        ] {
            let found = of_address(address, &environment);
            assert_eq!(found.as_deref().map_err(String::as_str), expected);
        }
    }
}
