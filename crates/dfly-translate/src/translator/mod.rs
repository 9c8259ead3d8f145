//! The translator of one flow: what all records and values have in common.

mod destination;
mod elements;
mod first_halves;
mod journal;
mod notes;
mod refused;
mod snapshot;
mod streams;

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use dfly_journal::Args;
use dfly_rdb::ValueId;
use dfly_wire::{DbIndex, UnixMillis};
use redis_resp::CommandBatch;

use crate::aliases::Aliases;
use crate::error::{TranslateError, shown};
use crate::facts::{CommandFacts, CommandKind};
use crate::names::ReservedNames;
use crate::policies::Policies;
use crate::policy::{Loss, Losses, Policy};
use crate::quirks::{Quirks, ZAddBeyond};
use crate::refetch::RefetchRequest;
use crate::selection::Selection;
use crate::target::{Ability, Target};

use first_halves::FirstHalves;
pub(crate) use journal::{is_root, number};
use notes::Notes;
use refused::RefusedValues;
use snapshot::OpenValue;

/// How a value or record was translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Commands carry it out.
    Written,
    /// It changes no data.
    Nothing,
    /// It, or a part of it, was left out under the policy; the rest is written.
    Lost(Loss),
    /// It is not selected.
    Unselected,
    /// Its keys are to be refetched from the source ([`Translator::take_refetches`]); what can be written is written.
    Refetch,
    /// It must be carried out once for all flows, after everything that precedes it on each flow (P10). Nothing was
    /// written.
    Flush(Flush),
    /// The source, a node of a cluster, has given slots away ([`flushed_slots`]). Nothing was written: their keys have to go.
    FlushSlots,
}

/// The slots that a `DFLYCLUSTER FLUSHSLOTS` names: the first and the last of each range. `None` if it has another form.
pub fn flushed_slots(args: &Args) -> Option<Vec<(u16, u16)>> {
    let words: Vec<&[u8]> = args.iter().skip(1).collect();
    let (kind, bounds) = words.split_first()?;
    let slot =
        |word: &&[u8]| std::str::from_utf8(word).ok()?.parse::<u16>().ok().filter(|slot| *slot < 16384);
    let bounds: Vec<u16> = bounds.iter().map(slot).collect::<Option<_>>()?;
    let (ranges, rest) = bounds.as_chunks::<2>();
    let is_whole = kind.eq_ignore_ascii_case(b"FLUSHSLOTS") && rest.is_empty() && !ranges.is_empty();
    is_whole.then(|| ranges.iter().map(|[first, last]| (*first, *last)).collect())
}

/// Where commands are written, and the current time.
#[derive(Debug)]
pub struct Output<'a> {
    /// The commands that have been written so far.
    pub commands: &'a mut CommandBatch,
    /// The current time. It decides what has expired, and relative times count from it (P16).
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
    /// Only the keys that may come from the source ([`Selection::covers`]), because the target also holds other keys, or
    /// takes no flush. They
    /// are in this database or, for `None`, in all databases of the target that [`DbMap::feeds`](crate::DbMap::feeds)
    /// names.
    Covered(Option<DbIndex>),
    /// Nothing: the database is left out.
    Nothing,
}

impl Flush {
    /// What to empty. If the flushed database shares a database of the target with others, their keys cannot be told apart.
    /// [`Translator::record`] returns a loss in that case, and not a flush.
    pub fn on_target(self, selection: &Selection) -> Emptied {
        match self {
            Self::All if selection.flushes_whole() && selection.dbs.is_identity() => Emptied::All,
            Self::All => Emptied::Covered(None),
            Self::Db(db) => match selection.dbs.get(db) {
                None => Emptied::Nothing,
                Some(db) if selection.flushes_whole() => Emptied::Db(db),
                Some(db) => Emptied::Covered(Some(db)),
            },
        }
    }
}

/// The form in which whole values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// SET for strings, RESTORE for other values if the target accepts their payload, and commands for the rest.
    #[default]
    Cheapest,
    /// RESTORE for all values whose payload the target accepts, including strings.
    Restore,
    /// The commands that a client would send, never RESTORE.
    Commands,
}

/// The rules for the translation of everything from one source. They are the same for all of its flows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// What to do about each kind of loss.
    pub policies: Policies,
    /// What is replicated, and under which names.
    pub selection: Selection,
    /// Other names that the source has for commands. The caller applies them ([`Aliases::resolve`]) where records enter.
    pub aliases: Aliases,
    /// Whether the caller serves [`Translator::take_refetches`]. If not, a record that needs a refetch is a loss.
    pub refetches: bool,
    /// Which signs of the source's own errors are followed.
    pub quirks: Quirks,
    /// Whether the target takes no RESTORE, so that every value is written by commands.
    pub without_restore: bool,
    /// Whether the target takes no MSET.
    pub without_mset: bool,
    /// Records that the target has no command for, by their names: their keys are refetched.
    pub refetched_records: BTreeSet<&'static str>,
    /// What the target can do, and may not be asked to.
    pub forbidden_abilities: BTreeSet<Ability>,
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
    /// Whether the selection leaves out or renames anything.
    pub(crate) selects: bool,
    pub(crate) form: Form,
    /// The database that is selected on the target's connection.
    db: DbIndex,
    pub(crate) open: HashMap<ValueId, OpenValue>,
    refused: RefusedValues,
    pub(crate) notes: Notes,
    pub(crate) first_halves: FirstHalves,
    pub(crate) zadd_beyond: ZAddBeyond,
    /// The maximum size of a value that is held until it is complete, in bytes.
    pub(crate) whole: usize,
    refetches: Vec<RefetchRequest>,
    losses: Losses,
}

impl Translator {
    /// A translator for a connection on which database 0 is selected.
    pub fn new(target: Target, rules: impl Into<Arc<Rules>>) -> Self {
        let rules = rules.into();
        let target = rules.forbidden_abilities.iter().copied().fold(target, Target::without);
        Self {
            target,
            selects: !rules.selection.is_everything(),
            form: Form::default(),
            db: DbIndex(0),
            open: HashMap::new(),
            refused: RefusedValues::default(),
            notes: Notes::new(0, target.is_cluster(), rules.names.clone()),
            rules,
            first_halves: FirstHalves::default(),
            zadd_beyond: ZAddBeyond::default(),
            whole: usize::MAX,
            refetches: Vec::new(),
            losses: Losses::default(),
        }
    }

    /// The same translator, for one of several flows. Each flow keeps its own notes on the target.
    #[must_use]
    pub fn for_flow(self, flow: u16) -> Self {
        let notes = Notes::new(flow, self.target.is_cluster(), self.rules.names.clone());
        Self { notes, ..self }
    }

    /// Whether plain SETs are marked, so that they may be carried out together.
    pub(crate) fn marks_plain_sets(&self) -> bool {
        !self.rules.without_mset
    }

    /// The same translator, for a source of which this is known.
    #[must_use]
    pub fn of_source(self, zadd_beyond: ZAddBeyond) -> Self {
        Self { zadd_beyond, ..self }
    }

    /// The same translator, for a flow that goes on behind records that this translator has not seen.
    #[must_use]
    pub fn resuming(mut self) -> Self {
        self.first_halves.forget();
        self
    }

    /// The same translator, but with whole values in this form. Values that arrive in pieces always become commands, except
    /// streams.
    #[must_use]
    pub fn with_form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    /// The same translator, but with a limit of `whole` bytes for a document that arrives in pieces, because it must be
    /// held until it is complete. A larger one is an error.
    #[must_use]
    pub fn holding(self, whole: usize) -> Self {
        Self { whole, ..self }
    }

    /// The target for which commands are written.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The keys that must be refetched from the source, collected since the last call. There are at most as many as the
    /// keys of the records since then.
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

    /// The source and the target were flushed, so all notes for the flushed keys are forgotten.
    pub fn flushed(&mut self, flush: Flush) {
        match flush {
            Flush::All => self.notes.clear(None),
            Flush::Db(db) => self.notes.clear(self.rules.selection.dbs.get(db)),
        }
    }

    /// Selects `db` on the connection, unless it is selected already.
    pub fn select(&mut self, db: DbIndex, out: &mut CommandBatch) {
        if self.db != db {
            let facts = CommandFacts::new(CommandKind::Control, db);
            out.start(2).arg(b"SELECT").int(i64::from(db.0)).finish_with(facts.tag());
            self.db = db;
        }
    }

    /// Writes a command with these words, name first, into the database of `facts`. The words at the positions `keys` are
    /// its keys. Whether it is idempotent is determined from the words.
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

    /// Handles something that the target cannot hold. It is an error under [`Policy::Fail`], and is counted otherwise.
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
        let databases = self.target.databases();
        if place.db.0 >= databases {
            let (what, key) = (place.what.to_owned(), shown(place.key));
            return Err(TranslateError::Database { what, key, db: place.db, databases });
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

/// Whether something that is due at `expire_at` has expired at `now`.
pub(crate) fn is_due(expire_at: Option<UnixMillis>, now: UnixMillis) -> bool {
    expire_at.is_some_and(|at| at <= now)
}
