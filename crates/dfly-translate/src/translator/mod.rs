//! The translator of one flow: what every record and value has in common.

mod elements;
mod journal;
mod notes;
mod snapshot;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use dfly_journal::TxId;
use dfly_rdb::ValueId;
use dfly_wire::{DbIndex, UnixMillis};
use redis_resp::CommandBatch;

use crate::error::{TranslateError, shown};
use crate::facts::{CommandFacts, CommandKind};
use crate::names::ReservedNames;
use crate::policies::Policies;
use crate::policy::{Loss, Losses, Policy};
use crate::refetch::RefetchRequest;
use crate::selection::Selection;
use crate::target::{Ability, Target};

pub(crate) use journal::number;
use notes::Notes;
use snapshot::OpenValue;

/// What became of a value or record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Commands carry it out.
    Written,
    /// It changes no data.
    Nothing,
    /// It, or a part of it, was left out under the policy; the rest is written.
    Lost(Loss),
    /// It is not in the selection.
    Unselected,
    /// Its keys are to be refetched from the source ([`Translator::take_refetches`]); what can be written is written.
    Refetch,
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
    /// One database of the source.
    Db(DbIndex),
}

/// What has to be emptied on the target for a flush of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Emptied {
    /// Everything.
    All,
    /// One database of the target.
    Db(DbIndex),
    /// Only the keys that are of the source ([`Selection::covers`]), in the databases of the target that
    /// [`DbMap::feeds`](crate::DbMap::feeds) names, or in this one: others share the target with them.
    Covered(Option<DbIndex>),
    /// Nothing: the database is left out.
    Nothing,
}

impl Flush {
    /// What to empty. A database that is flushed on the source is one of several that share a database of the target:
    /// then nobody can tell whose keys are whose, and [`Translator::record`] has said so.
    pub fn on_target(self, selection: &Selection) -> Emptied {
        match self {
            Self::All if selection.takes_all_keys() && selection.dbs.is_identity() => Emptied::All,
            Self::All => Emptied::Covered(None),
            Self::Db(db) => match selection.dbs.get(db) {
                None => Emptied::Nothing,
                Some(db) if selection.takes_all_keys() => Emptied::Db(db),
                Some(db) => Emptied::Covered(Some(db)),
            },
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

/// What decides how everything of a source is translated. The same for all of its flows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// What to do about each kind of loss.
    pub policies: Policies,
    /// What reaches the target, and under which names.
    pub selection: Selection,
    /// Whether somebody serves [`Translator::take_refetches`]. Otherwise what it would have mended is a loss.
    pub refetches: bool,
    /// The names of the tool's own keys on the target.
    pub names: ReservedNames,
}

impl From<Policy> for Rules {
    fn from(policy: Policy) -> Self {
        Self { policies: policy.into(), ..Self::default() }
    }
}

/// Turns the values and records of one flow into commands for one connection.
#[derive(Debug)]
pub struct Translator {
    pub(crate) target: Target,
    pub(crate) rules: Arc<Rules>,
    /// Whether the selection has to be asked at all.
    pub(crate) selects: bool,
    pub(crate) form: Form,
    /// The database that the target's connection is in.
    db: DbIndex,
    pub(crate) open: HashMap<ValueId, OpenValue>,
    pub(crate) notes: Notes,
    /// The DEL that was translated last, if it was of one key: what follows it in the same transaction may be its other
    /// half.
    pub(crate) last_del: Option<(TxId, Vec<u8>)>,
    /// The largest value that is kept until it is whole, in bytes.
    pub(crate) whole: usize,
    refetches: Vec<RefetchRequest>,
    losses: Losses,
}

impl Translator {
    /// For a connection that is in database 0.
    pub fn new(target: Target, rules: impl Into<Arc<Rules>>) -> Self {
        let rules = rules.into();
        Self {
            target,
            selects: !rules.selection.is_everything(),
            form: Form::default(),
            db: DbIndex(0),
            open: HashMap::new(),
            notes: Notes::new(0, target.is_cluster(), rules.names.clone()),
            rules,
            last_del: None,
            whole: usize::MAX,
            refetches: Vec::new(),
            losses: Losses::default(),
        }
    }

    /// The same for one flow of several: each keeps its own notes in the target.
    #[must_use]
    pub fn for_flow(self, flow: u16) -> Self {
        let notes = Notes::new(flow, self.target.is_cluster(), self.rules.names.clone());
        Self { notes, ..self }
    }

    /// The same, but with whole values in this form. Values that arrive in pieces are always commands, but for streams.
    #[must_use]
    pub fn with_form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    /// The same, but a document that arrives in pieces and is larger than this is an error: it has to be kept until it is
    /// whole.
    #[must_use]
    pub fn holding(self, whole: usize) -> Self {
        Self { whole, ..self }
    }

    /// The target that is written for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Keys that have to be read again from the source, since the last call. Their number is that of the keys in the
    /// records between two calls.
    pub fn take_refetches(&mut self) -> Vec<RefetchRequest> {
        std::mem::take(&mut self.refetches)
    }

    pub(crate) fn queue(&mut self, refetch: RefetchRequest) {
        self.refetches.push(refetch);
    }

    /// What was left out since the last call.
    pub fn take_losses(&mut self) -> Losses {
        std::mem::take(&mut self.losses)
    }

    /// Whether the target removes expired fields of hashes by itself.
    pub(crate) fn has_field_ttl(&self) -> bool {
        self.target.has(Ability::FieldTtl)
    }

    /// Whether due times that the target cannot hold are kept beside the keys.
    pub(crate) fn emulates(&self) -> bool {
        self.rules.policies.emulates_member_ttl()
    }

    /// The source, and with it the target, was flushed: nothing is beside its keys any longer.
    pub fn flushed(&mut self, flush: Flush) {
        match flush {
            Flush::All => self.notes.clear(None),
            Flush::Db(db) => self.notes.clear(self.rules.selection.dbs.get(db)),
        }
    }

    /// Brings the connection into `db`.
    pub fn select(&mut self, db: DbIndex, out: &mut CommandBatch) {
        if self.db != db {
            let facts = CommandFacts::new(CommandKind::Control, db);
            out.start(2).arg(b"SELECT").int(i64::from(db.0)).finish_with(facts.tag());
            self.db = db;
        }
    }

    /// Writes a command with these words, name first, into the database of `facts`. The words at the positions `keys` are
    /// its keys. Whether it is idempotent is found from the words.
    pub(crate) fn write(
        &mut self,
        facts: CommandFacts,
        words: &[&[u8]],
        keys: Range<usize>,
        out: &mut CommandBatch,
    ) {
        self.select(facts.db, out);
        out.push_keyed(words, keys, facts.of_words(words.iter().copied()).tag());
    }

    /// Something that the target cannot hold: stops under [`Policy::Fail`], is counted otherwise.
    pub(crate) fn lose(&mut self, loss: Loss, place: &Place<'_>) -> Result<Effect, TranslateError> {
        if self.rules.policies.of_loss(loss) == Policy::Fail && loss.is_data() {
            let (what, key) = (place.what.to_owned(), shown(place.key));
            return Err(TranslateError::Unsupported { what, key, db: place.db, loss });
        }
        self.losses.count(loss);
        Ok(Effect::Lost(loss))
    }
}

impl Translator {
    /// # Errors
    /// [`TranslateError::Database`]: the target has no such database.
    pub(crate) fn check_db(&self, place: &Place<'_>) -> Result<(), TranslateError> {
        if self.target.is_cluster() && place.db != DbIndex(0) {
            let (what, key) = (place.what.to_owned(), shown(place.key));
            return Err(TranslateError::Database { what, key, db: place.db });
        }
        Ok(())
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
