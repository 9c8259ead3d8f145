//! What a comparison has found, in an embedded database file: it is opened later by whoever wants to read it, and by a
//! comparison that goes on after a stop.

use std::path::Path;

use dfly_replica::{SourceKey, TargetKey};
use dfly_wire::DbIndex;
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::verdict::{Certainty, Different, Pair};

/// What was found about a key that is not equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// It differs.
    Different {
        /// What, and both outlines.
        #[serde(flatten)]
        different: Different,
        /// How sure that is.
        #[serde(flatten)]
        certainty: Certainty,
    },
    /// It could not be compared.
    NotCompared {
        /// Why, in words.
        reason: String,
    },
}

/// Why the database cannot be used.
#[derive(Debug, Error)]
#[error("the report file: {0}")]
pub struct StoreError(String);

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        let error: redb::Error = error.into();
        Self(match error {
            redb::Error::DatabaseAlreadyOpen => "another process has it open".to_owned(),
            error => error.to_string(),
        })
    }
}

/// Keys in the order of their databases and names, each with its finding as JSON.
const FINDINGS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("findings");

/// What the comparison was, how far it has come, and its result.
const FACTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("facts");

/// The most memory for pages of the file, in bytes.
const CACHE: usize = 8 << 20;

/// Changes that are written together.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    found: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    facts: Vec<(&'static str, Vec<u8>)>,
}

impl Changes {
    pub(crate) fn put(&mut self, pair: &Pair, finding: &Finding) -> Result<(), StoreError> {
        self.found.push((name_of(pair), Some(json(finding)?)));
        Ok(())
    }

    pub(crate) fn remove(&mut self, pair: &Pair) {
        self.found.push((name_of(pair), None));
    }

    pub(crate) fn fact(&mut self, name: &'static str, fact: &impl Serialize) -> Result<(), StoreError> {
        self.facts.push((name, json(fact)?));
        Ok(())
    }

    pub(crate) fn bytes(&mut self, name: &'static str, bytes: Vec<u8>) {
        self.facts.push((name, bytes));
    }

    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError(error.to_string()))
}

/// The database.
#[derive(Debug)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Opens a file, or makes one.
    ///
    /// # Errors
    /// The system's, or the file is no such database, or another process has it open.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        Self::with(redb::Builder::new().set_cache_size(CACHE).create(path)?)
    }

    /// Opens a file that exists.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { database: redb::Builder::new().set_cache_size(CACHE).open(path)? })
    }

    /// A database in a temporary file that nobody else sees.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn temporary() -> Result<Self, StoreError> {
        let file = tempfile::tempfile().map_err(|error| StoreError(error.to_string()))?;
        let backend = FileBackend::new(file)?;
        Self::with(redb::Builder::new().set_cache_size(CACHE).create_with_backend(backend)?)
    }

    fn with(database: Database) -> Result<Self, StoreError> {
        let write = database.begin_write()?;
        write.open_table(FINDINGS)?;
        write.open_table(FACTS)?;
        write.commit()?;
        Ok(Self { database })
    }

    /// Removes everything.
    pub(crate) fn clear(&self) -> Result<(), StoreError> {
        let write = self.database.begin_write()?;
        write.delete_table(FINDINGS)?;
        write.delete_table(FACTS)?;
        write.open_table(FINDINGS)?;
        write.open_table(FACTS)?;
        write.commit()?;
        Ok(())
    }

    pub(crate) fn commit(&self, changes: Changes) -> Result<(), StoreError> {
        let write = self.database.begin_write()?;
        {
            let (mut findings, mut facts) = (write.open_table(FINDINGS)?, write.open_table(FACTS)?);
            for (name, found) in changes.found {
                match found {
                    Some(found) => drop(findings.insert(&*name, &*found)?),
                    None => drop(findings.remove(&*name)?),
                }
            }
            for (name, fact) in changes.facts {
                facts.insert(name, &*fact)?;
            }
        }
        write.commit()?;
        Ok(())
    }

    pub(crate) fn fact<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let Some(bytes) = self.fact_bytes(name)? else { return Ok(None) };
        let fact = serde_json::from_slice(&bytes);
        fact.map(Some).map_err(|error| StoreError(format!("it is of another version or damaged: {error}")))
    }

    pub(crate) fn fact_bytes(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let facts = self.database.begin_read()?.open_table(FACTS)?;
        Ok(facts.get(name)?.map(|bytes| bytes.value().to_vec()))
    }

    /// How many keys have a finding.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn len(&self) -> Result<u64, StoreError> {
        Ok(self.database.begin_read()?.open_table(FINDINGS)?.len()?)
    }

    /// Whether no key has one.
    ///
    /// # Errors
    /// As [`Self::len`].
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    /// At most `count` findings, in the order of databases and names: those of the keys behind `after`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn findings(&self, after: Option<&Pair>, count: usize) -> Result<Vec<(Pair, Finding)>, StoreError> {
        let findings = self.database.begin_read()?.open_table(FINDINGS)?;
        let mut out = Vec::new();
        // Nothing lies between a name and the same with a zero byte behind it.
        let from = after.map_or_else(Vec::new, |pair| [&name_of(pair)[..], &[0]].concat());
        for entry in findings.range(&*from..)?.take(count) {
            let (name, found) = entry?;
            let finding = serde_json::from_slice(found.value())
                .map_err(|error| StoreError(format!("a finding cannot be read: {error}")))?;
            let pair = pair_of(name.value()).ok_or_else(|| StoreError("a name is damaged".to_owned()))?;
            out.push((pair, finding));
        }
        Ok(out)
    }
}

/// The databases and names of both sides, and how long the first name is: keys are in the order of their databases and names.
fn name_of(pair: &Pair) -> Vec<u8> {
    let length = u32::try_from(pair.source.name.len()).unwrap_or(u32::MAX);
    [
        &pair.source.db.0.to_be_bytes()[..],
        &pair.target.db.0.to_be_bytes(),
        &pair.source.name,
        &pair.target.name,
        &length.to_be_bytes(),
    ]
    .concat()
}

fn pair_of(name: &[u8]) -> Option<Pair> {
    let (source_db, rest) = name.split_first_chunk::<4>()?;
    let (target_db, rest) = rest.split_first_chunk::<4>()?;
    let (rest, length) = rest.split_last_chunk::<4>()?;
    let (source, target) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    Some(Pair {
        source: SourceKey::new(DbIndex(u32::from_be_bytes(*source_db)), source.to_vec()),
        target: TargetKey::new(DbIndex(u32::from_be_bytes(*target_db)), target.to_vec()),
    })
}

/// The names of the facts in the file.
pub(crate) mod facts {
    /// What is compared.
    pub(crate) const ABOUT: &str = "about";
    /// How far the comparison has come.
    pub(crate) const REACHED: &str = "reached";
    /// What was counted until then.
    pub(crate) const COUNTED: &str = "counted";
    /// The sums of the keys that were seen until then.
    pub(crate) const SUMS: &str = "sums";
    /// The result.
    pub(crate) const SUMMARY: &str = "summary";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(nth: u32) -> Pair {
        let name = format!("k{nth:04}");
        Pair {
            source: SourceKey::new(DbIndex(3), name.clone()),
            target: TargetKey::new(DbIndex(0), format!("new:{name}")),
        }
    }

    #[test]
    fn findings_come_in_pages_and_survive() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report");
        let store = Store::create(&path).unwrap();
        let mut changes = Changes::default();
        for nth in 0..100 {
            changes.put(&pair(nth), &Finding::NotCompared { reason: format!("{nth}") }).unwrap();
        }
        changes.remove(&pair(50));
        changes.fact("a", &7).unwrap();
        store.commit(changes).unwrap();
        assert!(Store::open(&path).unwrap_err().to_string().contains("another process"));
        drop(store);
        let store = Store::open(&path).unwrap();
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.findings(after.as_ref(), 7).unwrap();
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            seen.extend(page.into_iter().map(|(pair, _)| pair));
        }
        let expected: Vec<Pair> = (0..100).filter(|nth| *nth != 50).map(pair).collect();
        assert_eq!(seen, expected);
        assert_eq!((store.len().unwrap(), store.fact("a").unwrap()), (99, Some(7)));
        store.clear().unwrap();
        assert!(store.is_empty().unwrap() && store.fact::<u32>("a").unwrap().is_none());
    }

    #[test]
    fn no_report() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        std::fs::write(&path, "no database").unwrap();
        assert!(Store::open(&path).is_err());
        assert!(Store::open(&dir.path().join("none")).is_err());
    }
}
