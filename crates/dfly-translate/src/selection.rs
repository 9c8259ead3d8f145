//! Which part of the source is replicated, and under which names. By default, everything is replicated unchanged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use dfly_rdb::ValueKind;
use dfly_wire::DbIndex;

use crate::glob::Glob;
use crate::names::ReservedNames;
use crate::table::{CommandSpec, WorksOn};

/// The mapping of databases. As text: `0=5,3=0,7=skip`. A database that is not named keeps its number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DbMap(BTreeMap<DbIndex, Option<DbIndex>>);

impl DbMap {
    /// The database on the target; `None` if it is left out.
    #[inline]
    pub fn get(&self, db: DbIndex) -> Option<DbIndex> {
        if self.0.is_empty() { Some(db) } else { self.0.get(&db).copied().unwrap_or(Some(db)) }
    }

    /// Whether every database keeps its number.
    pub fn is_identity(&self) -> bool {
        self.0.iter().all(|(from, to)| Some(*from) == *to)
    }

    /// Whether keys of the source may go to the database `target`.
    pub fn feeds(&self, target: DbIndex) -> bool {
        !self.origins(target).is_empty()
    }

    /// The databases of the source that go to the database `target`.
    fn origins(&self, target: DbIndex) -> Vec<DbIndex> {
        let named = self.0.iter().filter(|(_, to)| **to == Some(target)).map(|(from, _)| *from);
        named.chain((!self.0.contains_key(&target)).then_some(target)).collect()
    }

    /// Whether the database `target` may hold keys of several databases of the source. If so, it is never flushed as a
    /// whole for one of them.
    pub fn is_shared(&self, target: DbIndex) -> bool {
        self.origins(target).len() > 1
    }
}

/// The form that is parsed. Empty if every database keeps its number.
impl fmt::Display for DbMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, (from, to)) in self.0.iter().filter(|(from, to)| Some(**from) != **to).enumerate() {
            let comma = if nth == 0 { "" } else { "," };
            match to {
                Some(to) => write!(f, "{comma}{from}={to}")?,
                None => write!(f, "{comma}{from}=skip")?,
            }
        }
        Ok(())
    }
}

impl FromStr for DbMap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let number = text.trim().parse().map(DbIndex);
            number.map_err(|_not_a_number| format!("\"{}\" is not a database number", text.trim()))
        };
        let pair = |item: &str| {
            let (from, to) = item.split_once('=').ok_or_else(|| {
                format!("\"{item}\" is not a pair; write 0=5, or 7=skip to leave a database out")
            })?;
            let to = if to.trim() == "skip" { None } else { Some(number(to)?) };
            Ok((number(from)?, to))
        };
        let mut map = BTreeMap::new();
        for (from, to) in text.split(',').map(pair).collect::<Result<Vec<_>, String>>()? {
            if map.insert(from, to).is_some() {
                return Err(format!("database {from} is named twice"));
            }
        }
        Ok(Self(map))
    }
}

/// Keys with the prefix `from` get the prefix `to` on the target. The first rule that matches applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// The prefix on the source.
    pub from: Vec<u8>,
    /// The prefix on the target.
    pub to: Vec<u8>,
}

impl FromStr for Rename {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text
            .split_once('=')
            .ok_or_else(|| format!("\"{text}\" is not a rule; write old-prefix=new-prefix"))?;
        Ok(Self { from: from.as_bytes().to_vec(), to: to.as_bytes().to_vec() })
    }
}

/// What is taken and what is left out. If anything is allowed, only that is taken. What is blocked is never taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<T> {
    /// What is allowed. Empty allows everything.
    pub allow: Vec<T>,
    /// What is left out, even if it is allowed.
    pub block: Vec<T>,
}

impl<T> Default for Choice<T> {
    fn default() -> Self {
        Self { allow: Vec::new(), block: Vec::new() }
    }
}

impl<T> Choice<T> {
    fn takes(&self, is: impl Fn(&T) -> bool) -> bool {
        (self.allow.is_empty() || self.allow.iter().any(&is)) && !self.block.iter().any(&is)
    }

    fn is_everything(&self) -> bool {
        self.allow.is_empty() && self.block.is_empty()
    }
}

/// Keys of the target that are never written to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    keys: BTreeSet<(DbIndex, Bytes)>,
    /// Whether the run stops if the source has a key with such a name.
    stops: bool,
}

impl Kept {
    /// An empty set. `stops`: whether the run stops if the source has a key of the set. Otherwise, the key is skipped.
    pub fn new(stops: bool) -> Self {
        Self { keys: BTreeSet::new(), stops }
    }

    /// Adds a key.
    pub fn add(&mut self, db: DbIndex, key: Bytes) {
        self.keys.insert((db, key));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    fn holds(&self, db: DbIndex, key: &[u8]) -> bool {
        !self.keys.is_empty() && self.keys.contains(&(db, Bytes::copy_from_slice(key)))
    }
}

/// All settings that restrict or rename.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// The mapping of databases.
    pub dbs: DbMap,
    /// Which keys are taken.
    pub keys: Choice<Glob>,
    /// Which kinds of value are taken. Commands on keys of any kind (DEL, PEXPIREAT, ...) are always taken, because they do
    /// nothing without the key.
    pub kinds: Choice<ValueKind>,
    /// Journaled commands that are left out, in upper case.
    pub blocked_commands: BTreeSet<String>,
    /// Journaled commands that are taken. Empty for all.
    pub allowed_commands: BTreeSet<String>,
    /// How keys are renamed on the target.
    pub renames: Vec<Rename>,
    /// Keys that the target already had and that are kept.
    pub kept: Kept,
    /// Whether the target takes no flush, so that its keys are removed one by one.
    pub removes_by_key: bool,
}

impl Selection {
    /// Whether all keys are taken under their own names; databases may be mapped.
    pub fn takes_all_keys(&self) -> bool {
        self.keys.is_everything()
            && self.renames.is_empty()
            && self.kinds.is_everything()
            && self.kept.is_empty()
    }

    /// Whether a database of the target holds nothing but keys of the source, and can be flushed.
    pub(crate) fn flushes_whole(&self) -> bool {
        self.takes_all_keys() && !self.removes_by_key
    }

    /// Whether nothing is left out or renamed, databases included.
    pub fn is_everything(&self) -> bool {
        self.takes_all_keys()
            && self.dbs.is_identity()
            && self.blocked_commands.is_empty()
            && self.allowed_commands.is_empty()
    }

    /// Whether a key is taken.
    pub fn takes_key(&self, key: &[u8]) -> bool {
        self.keys.is_everything() || self.keys.takes(|glob| glob.matches(key))
    }

    /// Whether a key in a database of the source is taken. It is not if its name on the target is kept or reserved.
    pub fn takes(&self, db: DbIndex, key: &[u8]) -> bool {
        self.takes_key(key) && !self.is_reserved(key) && !self.is_kept(db, key)
    }

    /// Whether the key's name on the target is reserved for the tool, so that it is never written there.
    pub fn is_reserved(&self, key: &[u8]) -> bool {
        ReservedNames::is_reserved(self.renamed(key).as_deref().unwrap_or(key))
    }

    /// Whether the key's name on the target is kept.
    fn is_kept(&self, db: DbIndex, key: &[u8]) -> bool {
        let renamed = self.renamed(key);
        let name = renamed.as_deref().unwrap_or(key);
        self.dbs.get(db).is_some_and(|db| self.kept.holds(db, name))
    }

    /// Whether the run must stop because of this key.
    pub(crate) fn stops_at(&self, db: DbIndex, key: &[u8]) -> bool {
        self.kept.stops && self.takes_key(key) && self.is_kept(db, key)
    }

    /// Whether values of this kind are taken.
    pub fn takes_kind(&self, kind: ValueKind) -> bool {
        self.kinds.is_everything() || self.kinds.takes(|taken| *taken == kind)
    }

    /// Whether records of this command are taken.
    pub fn takes_command(&self, spec: &CommandSpec) -> bool {
        let kind = match spec.works_on {
            WorksOn::Kind(kind) => self.takes_kind(kind),
            WorksOn::Any | WorksOn::Nothing => true,
        };
        kind && !self.blocked_commands.contains(spec.name)
            && (self.allowed_commands.is_empty() || self.allowed_commands.contains(spec.name))
    }

    /// The key's name on the target, if it is different.
    pub fn renamed(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.renames.iter().find_map(|rule| Some([&rule.to, key.strip_prefix(&rule.from[..])?].concat()))
    }

    /// The database and name of a source key on the target; `None` if it is left out.
    pub fn destination(&self, db: DbIndex, key: &[u8]) -> Option<(DbIndex, Vec<u8>)> {
        let name = self.takes(db, key).then(|| self.renamed(key).unwrap_or_else(|| key.to_vec()))?;
        Some((self.dbs.get(db)?, name))
    }

    /// The databases and names on the source that may correspond to this key of the target. Several if rules overlap.
    pub fn origins(&self, db: DbIndex, target_key: &[u8]) -> Vec<(DbIndex, Vec<u8>)> {
        let behind = |rule: &Rename| Some([&rule.from, target_key.strip_prefix(&rule.to[..])?].concat());
        let mut keys: Vec<Vec<u8>> = self.renames.iter().filter_map(behind).collect();
        keys.push(target_key.to_vec());
        keys.retain(|key| self.takes_key(key) && self.renamed(key).as_deref().unwrap_or(key) == target_key);
        let dbs = if self.kept.holds(db, target_key) { Vec::new() } else { self.dbs.origins(db) };
        dbs.into_iter().flat_map(|db| keys.iter().map(move |key| (db, key.clone()))).collect()
    }

    /// Whether a key of the target may come from the source, so that a flush or a full synchronisation may remove it.
    pub fn covers(&self, db: DbIndex, target_key: &[u8]) -> bool {
        match self.renames.is_empty() {
            _ if self.kept.holds(db, target_key) => false,
            true => self.dbs.feeds(db) && self.takes_key(target_key),
            false => !self.origins(db, target_key).is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases() {
        let map: DbMap = "0=5, 3=0,7=skip".parse().unwrap();
        let get = |db| map.get(DbIndex(db)).map(|db| db.0);
        assert_eq!((get(0), get(3), get(7), get(1)), (Some(5), Some(0), None, Some(1)));
        assert!(map.is_shared(DbIndex(5)) && !map.is_shared(DbIndex(0)) && !map.is_shared(DbIndex(1)));
        assert!(!map.is_identity() && DbMap::default().is_identity());
        for text in ["", "0", "0=x", "a=1", "0=1,0=2", "0=-1"] {
            assert!(text.parse::<DbMap>().is_err(), "{text}");
        }
    }

    #[test]
    fn keys() {
        let selection = Selection {
            keys: Choice {
                allow: vec![Glob::new("user:*"), Glob::new("s?")],
                block: vec![Glob::new("*:tmp")],
            },
            renames: vec!["user:=u:".parse().unwrap(), "s=t".parse().unwrap()],
            ..Selection::default()
        };
        for (key, taken) in [("user:1", true), ("user:1:tmp", false), ("s1", true), ("x", false)] {
            assert_eq!(selection.takes_key(key.as_bytes()), taken, "{key}");
        }
        assert_eq!(selection.renamed(b"user:1"), Some(b"u:1".to_vec()));
        assert_eq!(selection.renamed(b"x"), None);
        for (target, covered) in
            [("u:1", true), ("u:1:tmp", false), ("user:1", false), ("t1", true), ("x", false)]
        {
            assert_eq!(selection.covers(DbIndex(0), target.as_bytes()), covered, "{target}");
        }
        assert_eq!(selection.origins(DbIndex(3), b"u:1"), [(DbIndex(3), b"user:1".to_vec())]);
        assert!(Selection::default().is_everything() && !selection.is_everything());
    }

    /// C6: the name on the target decides.
    #[test]
    fn reserved_keys() {
        let renames = vec!["df2redis:old:=old:".parse().unwrap(), "mine:=df2redis:".parse().unwrap()];
        let selection = Selection { renames, ..Selection::default() };
        for (key, taken) in [
            ("df2redis:checkpoint", false),
            ("df2redis@a:checkpoint", false),
            ("df2redis:old:1", true),
            ("mine:1", false),
            ("df2redis", true),
        ] {
            assert_eq!(selection.takes(DbIndex(0), key.as_bytes()), taken, "{key}");
            assert_eq!(selection.destination(DbIndex(0), key.as_bytes()).is_some(), taken, "{key}");
        }
    }

    #[test]
    fn kept_keys() {
        let mut selection = Selection { dbs: "0=1".parse().unwrap(), ..Selection::default() };
        selection.kept.add(DbIndex(1), "k".into());
        assert!(!selection.takes(DbIndex(0), b"k") && selection.takes(DbIndex(0), b"l"));
        assert!(!selection.covers(DbIndex(1), b"k") && selection.covers(DbIndex(1), b"l"));
        assert!(selection.origins(DbIndex(1), b"k").is_empty() && !selection.takes_all_keys());
        assert!(!selection.stops_at(DbIndex(0), b"k"));
        assert_eq!(selection.destination(DbIndex(0), b"k"), None);
        assert_eq!(selection.destination(DbIndex(0), b"l"), Some((DbIndex(1), b"l".to_vec())));
    }
}
