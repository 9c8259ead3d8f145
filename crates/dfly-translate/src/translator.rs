//! The translator of one flow: what every record and value has in common.

use std::collections::HashMap;

use dfly_rdb::payload::TargetFormat;
use dfly_rdb::{Family, ValueId};
use dfly_wire::{DbIndex, UnixMillis};
use redis_resp::CommandBatch;

use crate::error::{TranslateError, shown};
use crate::policy::{Loss, Losses, Policy};
use crate::snapshot::OpenValue;

/// What became of a value or record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Commands carry it out.
    Written,
    /// It changes no data.
    Nothing,
    /// It, or a part of it, was left out under the policy; the rest is written.
    Lost(Loss),
    /// It must be carried out once for all flows, after all that precedes it on each of them (P10). Nothing was
    /// written.
    Flush(Flush),
}

/// Where commands go, and when that is.
#[derive(Debug)]
pub struct Output<'a> {
    /// The commands that are written so far.
    pub commands: &'a mut CommandBatch,
    /// The time: decides what has expired, and from when relative times count (P16).
    pub now: UnixMillis,
}

/// What a flush empties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flush {
    /// Every database.
    All,
    /// One database.
    Db(DbIndex),
}

impl Flush {
    /// Writes the flush. It waits until the memory is free, so that what follows finds it done.
    pub fn write(self, translator: &mut Translator, out: &mut CommandBatch) {
        match self {
            Self::All => out.push(&[b"FLUSHALL"]),
            Self::Db(db) => {
                translator.select(db, out);
                out.push(&[b"FLUSHDB"]);
            }
        }
    }
}

/// In which form whole values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// SET for strings, RESTORE for all else that the target takes so, commands otherwise.
    #[default]
    Cheapest,
    /// RESTORE for everything that the target takes so, strings too.
    Restore,
    /// The commands that a client would send, never RESTORE.
    Commands,
}

/// Turns the values and records of one flow into commands for one connection.
#[derive(Debug)]
pub struct Translator {
    pub(crate) target: TargetFormat,
    policy: Policy,
    pub(crate) form: Form,
    /// The database that the target's connection is in.
    db: DbIndex,
    pub(crate) open: HashMap<ValueId, OpenValue>,
    losses: Losses,
}

impl Translator {
    /// For a connection that is in database 0.
    pub fn new(target: TargetFormat, policy: Policy) -> Self {
        let form = Form::default();
        Self { target, policy, form, db: DbIndex(0), open: HashMap::new(), losses: Losses::default() }
    }

    /// The same, but with whole values in this form. Values that arrive in pieces are always commands, but for streams.
    pub fn with_form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    /// What was left out since the last call.
    pub fn take_losses(&mut self) -> Losses {
        std::mem::take(&mut self.losses)
    }

    /// Whether the target keeps expiries of hash fields (HPEXPIREAT: Redis 7.4, Valkey 9).
    pub(crate) fn has_field_ttl(&self) -> bool {
        match self.target.family {
            Family::Redis => self.target.version >= (7, 4),
            Family::Valkey => self.target.version >= (9, 0),
        }
    }

    pub(crate) fn has_functions(&self) -> bool {
        self.target.family == Family::Valkey || self.target.version >= (7, 0)
    }

    /// Brings the connection into `db`.
    pub fn select(&mut self, db: DbIndex, out: &mut CommandBatch) {
        if self.db != db {
            out.start(2).arg(b"SELECT").int(i64::from(db.0)).finish();
            self.db = db;
        }
    }

    /// Something that the target cannot hold: stops under [`Policy::Fail`], is counted otherwise.
    pub(crate) fn lose(&mut self, loss: Loss, place: &Place<'_>) -> Result<Effect, TranslateError> {
        if self.policy == Policy::Fail && loss.is_data() {
            let (what, key) = (place.what.to_owned(), shown(place.key));
            return Err(TranslateError::Unsupported { what, key, db: place.db, loss });
        }
        self.losses.count(loss);
        Ok(Effect::Lost(loss))
    }
}

/// What an error or a loss is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// A command's name, or `the value`.
    pub what: &'a str,
    pub key: &'a [u8],
    pub db: DbIndex,
}

/// Whether something that is due at `expire_at` is gone at `now`.
pub(crate) fn is_due(expire_at: Option<UnixMillis>, now: UnixMillis) -> bool {
    expire_at.is_some_and(|at| at <= now)
}
