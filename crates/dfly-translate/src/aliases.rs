//! Other names under which a source journals commands.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::str::FromStr;

use dfly_journal::{Args, Command};

use crate::table::lookup;

/// A name that the source has for a command, beside or instead of the command's own. As text: `___SET=SET`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The other name, in upper case.
    pub name: String,
    /// The command, as the table names it.
    pub command: &'static str,
}

impl FromStr for Alias {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, command) = text
            .split_once('=')
            .ok_or_else(|| format!("\"{text}\" is not an alias; write ___SET=SET, the alias first"))?;
        let (name, command) = (name.trim().to_ascii_uppercase(), command.trim().to_ascii_uppercase());
        match lookup(command.as_bytes()) {
            Some(spec) if !name.is_empty() => Ok(Self { name, command: spec.name }),
            Some(_) => Err(format!("\"{text}\" has no name before the =")),
            None => Err(format!("Dragonfly does not journal \"{command}\"")),
        }
    }
}

/// The aliases of a source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Aliases(BTreeMap<Vec<u8>, &'static str>);

impl Aliases {
    /// The same record under the name of the command that its own name stands for. Call it once for each record.
    #[inline]
    pub fn resolve<'a>(&self, record: &'a Command) -> Cow<'a, Command> {
        if self.0.is_empty() {
            return Cow::Borrowed(record);
        }
        match self.0.get(record.args.name()) {
            Some(name) => Cow::Owned(renamed(record, name)),
            None => Cow::Borrowed(record),
        }
    }
}

impl FromIterator<Alias> for Aliases {
    /// Of two aliases with the same name, the last one holds.
    fn from_iter<I: IntoIterator<Item = Alias>>(aliases: I) -> Self {
        Self(aliases.into_iter().map(|alias| (alias.name.into_bytes(), alias.command)).collect())
    }
}

fn renamed(record: &Command, name: &str) -> Command {
    let arguments = record.args.iter().skip(1);
    let words: Vec<&[u8]> = std::iter::once(name.as_bytes()).chain(arguments).collect();
    Command { args: Args::of(&words), ..record.clone() }
}

#[cfg(test)]
mod tests {
    use dfly_journal::TxId;
    use dfly_wire::DbIndex;

    use super::*;

    fn aliases(texts: &[&str]) -> Aliases {
        texts.iter().map(|text| text.parse::<Alias>().unwrap()).collect()
    }

    fn record(line: &str) -> Command {
        let words: Vec<&str> = line.split(' ').collect();
        Command { db: DbIndex(3), txid: TxId(7), args: Args::of(&words) }
    }

    /// C43: a record under an alias is that of the command, and keeps everything else.
    #[test]
    fn records_get_the_name_of_the_command() {
        let aliases = aliases(&["___set=set", "DEL=APPEND"]);
        for (line, resolved) in [
            ("___SET k ___SET", "SET k ___SET"),
            ("DEL k v", "APPEND k v"),
            ("APPEND k v", "APPEND k v"),
            ("___GET k", "___GET k"),
        ] {
            assert_eq!(*aliases.resolve(&record(line)), record(resolved), "{line}");
        }
        let plain = record("SET k v");
        assert!(matches!(Aliases::default().resolve(&plain), Cow::Borrowed(_)), "nothing is copied");
    }

    #[test]
    fn what_is_no_alias() {
        for (text, said) in [
            ("___SET", "\"___SET\" is not an alias; write ___SET=SET, the alias first"),
            ("=SET", "\"=SET\" has no name before the ="),
            ("___SET=STE", "Dragonfly does not journal \"STE\""),
        ] {
            assert_eq!(text.parse::<Alias>().unwrap_err(), said);
        }
    }
}
