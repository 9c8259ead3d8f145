//! Compares a Redis with the data that it should hold.

mod difference;
pub(crate) mod dumps;
mod read;
mod stream;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::recording::Row;
use crate::redis_client::{RedisClient, RedisError};
use crate::value::{CanonicalValue, Value};

pub use difference::{Difference, What};
pub use dumps::{Dumps, dumps};
pub(crate) use read::all_keys;
pub use read::keyspace;

use read::{Found, read_keys};

/// How many keys are read in one batch.
const BATCH: usize = 200;

/// What counts as equal.
#[derive(Debug, Clone, Default)]
pub struct CompareOptions {
    /// Keys with this prefix belong to the tool and may exist.
    pub reserved_prefix: Option<Bytes>,
    /// How the expiries of fields and members are compared.
    pub member_ttls: MemberTtls,
    /// Streams whose delivery and seen times may be later than the master's: those that a journal record names, because
    /// replaying `XAUTOCLAIM` or `XCLAIM` reads the target's clock. See `Recording::journal_arguments`.
    pub replayed: BTreeSet<Bytes>,
    /// Whether `entries-read` of a group of a replayed stream may be unknown at the target. Redis forgets it at an `XGROUP
    /// SETID` without `ENTRIESREAD`; Dragonfly keeps it.
    pub entries_read_may_be_unknown: bool,
    /// Whether the seen times of consumers may be later than at the source, in every stream. Only `RESTORE` sets these
    /// times.
    pub consumers_seen_later: bool,
}

/// How the expiries of fields and members are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MemberTtls {
    /// The target cannot hold them, so only the values are compared.
    #[default]
    Ignored,
    /// Fields of a hash must expire within `tolerance_ms` of the recorded time. Expiries of set members are not compared,
    /// because no Redis can hold them.
    Within {
        /// The time from which the recorded seconds count, in Unix milliseconds.
        from_ms: i64,
        /// The maximum difference, in milliseconds.
        tolerance_ms: i64,
    },
}

/// The result of a comparison.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// How many keys are equal.
    pub equal: usize,
    /// How many of these are equal only to what Dragonfly's own replica held.
    pub equal_to_native: usize,
    /// Every difference.
    pub differences: Vec<Difference>,
    /// How many rows a Redis cannot hold and does not hold, by type.
    pub skipped: BTreeMap<String, usize>,
    /// How many keys were compared, by type.
    pub compared: BTreeMap<String, usize>,
}

impl Comparison {
    /// Adds the result for another part of the same keyspace.
    pub(crate) fn add(&mut self, other: Self) {
        self.equal += other.equal;
        self.equal_to_native += other.equal_to_native;
        self.differences.extend(other.differences);
        for (kind, count) in other.skipped {
            *self.skipped.entry(kind).or_default() += count;
        }
        for (kind, count) in other.compared {
            *self.compared.entry(kind).or_default() += count;
        }
    }

    /// Whether everything that could be compared is equal.
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Compares every row with the server, and looks for keys that no row names.
///
/// # Errors
/// The server cannot be read. The connection is left in the database that was read last.
pub fn compare(
    client: &mut RedisClient,
    rows: &[Row],
    options: &CompareOptions,
) -> Result<Comparison, RedisError> {
    let mut result = compare_rows(client, rows, options)?;
    let named: BTreeSet<(u32, &Bytes)> = rows.iter().map(|row| (row.db, &row.key)).collect();
    for (db, key) in all_keys(client)? {
        let reserved = options.reserved_prefix.as_ref().is_some_and(|prefix| key.starts_with(prefix));
        if !reserved && !named.contains(&(db, &key)) {
            result.differences.push(Difference { db, key, what: What::Extra });
        }
    }
    Ok(result)
}

/// Like [`compare`], but without the search for keys that no row names.
pub(crate) fn compare_rows(
    client: &mut RedisClient,
    rows: &[Row],
    options: &CompareOptions,
) -> Result<Comparison, RedisError> {
    let mut result = Comparison::default();
    let mut by_db: BTreeMap<u32, Vec<&Row>> = BTreeMap::new();
    rows.iter().for_each(|row| by_db.entry(row.db).or_default().push(row));
    for (db, rows) in &by_db {
        client.select(*db)?;
        for batch in rows.chunks(BATCH) {
            let keys: Vec<Bytes> = batch.iter().map(|row| row.key.clone()).collect();
            let found = read_keys(client, &keys, options.member_ttls != MemberTtls::Ignored)?;
            for (row, found) in batch.iter().zip(&found) {
                judge(row, found, (options, &mut result));
            }
        }
    }
    Ok(result)
}

fn judge(row: &Row, found: &Found, (options, result): (&CompareOptions, &mut Comparison)) {
    let absent = matches!(&found.value, Ok(held) if held.value == Value::None);
    let kind = row.value.type_name().to_owned();
    if !row.value.is_redis_type() && row.value != Value::None && absent {
        *result.skipped.entry(kind).or_default() += 1;
        return;
    }
    *result.compared.entry(kind).or_default() += 1;
    let differences = against(row, found, options);
    let native = match &row.native_replica {
        _ if differences.is_empty() => false,
        None => false,
        Some(None) => absent,
        Some(Some(native)) => against(native, found, options).is_empty(),
    };
    match differences.is_empty() || native {
        true => {
            result.equal += 1;
            result.equal_to_native += usize::from(native);
        }
        false => {
            let named = |what| Difference { db: row.db, key: row.key.clone(), what };
            result.differences.extend(differences.into_iter().map(named));
        }
    }
}

fn against(row: &Row, found: &Found, options: &CompareOptions) -> Vec<What> {
    let held = match &found.value {
        Err(why) => return vec![What::Unreadable(why.clone())],
        Ok(held) => held,
    };
    let wanted = CanonicalValue { value: row.value.clone(), expire_at_ms: row.expire_at_ms };
    let lenient = options.replayed.contains(&row.key);
    let rules = stream::Rules {
        delivery_times: !lenient,
        consumer_times: !(lenient || options.consumers_seen_later),
        entries_read: !(lenient && options.entries_read_may_be_unknown),
    };
    let mut differences = values::between(&wanted, held, rules);
    if let (Value::Hash(_), MemberTtls::Within { from_ms, tolerance_ms }) = (&row.value, options.member_ttls)
    {
        let wanted = row.member_ttls.iter().map(|(field, seconds)| (field.clone(), from_ms + seconds * 1000));
        let ttls = values::member_ttls(&wanted.collect(), &found.field_expiries, tolerance_ms);
        differences.extend(ttls);
    }
    differences
}
