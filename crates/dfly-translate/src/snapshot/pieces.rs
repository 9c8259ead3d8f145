//! Values that arrive in pieces: bounded commands, one after another (P24). The value grows under a name of its own,
//! in the slot of its key, and takes the key's place when it is complete: readers never see a part of it, and a run
//! that ends in between leaves no part under the key (P13).

use bytes::Bytes;
use dfly_rdb::{Element, KeyHeader, Piece, TypeId, ValueId};
use dfly_wire::{DbIndex, UnixMillis};

use super::{Baseline, unsupported};
use redis_slots::beside;

use crate::elements;
use crate::error::TranslateError;
use crate::policy::Loss;
use crate::translator::{Effect, Output, Translator, is_due};

/// What the names begin with under which values grow. Keys that begin with `df2redis:` are this tool's own.
const GROWING: &str = "df2redis:growing:";

/// A value that is not complete.
#[derive(Debug)]
pub(crate) struct OpenValue {
    db: DbIndex,
    key: Bytes,
    /// Under which it grows.
    growing: Vec<u8>,
    expire_at: Option<UnixMillis>,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Its pieces are passed over.
    LeftOut,
    /// It grows; `ttl_lost` once an expiry of a member was left out and counted.
    Writing { ttl_lost: bool },
}

impl OpenValue {
    fn baseline(&self) -> Baseline<'_> {
        Baseline { db: self.db, key: &self.key, expire_at: self.expire_at }
    }
}

impl Translator {
    /// Begins a value that arrives in pieces.
    ///
    /// # Errors
    /// [`TranslateError`]; nothing of the key is written then.
    pub fn open(
        &mut self,
        (id, type_id): (ValueId, TypeId),
        header: &KeyHeader,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let baseline = Baseline { db: header.db, key: &header.key, expire_at: header.expire_at };
        let growing = beside(GROWING, &header.key);
        let (effect, progress) = match unsupported(type_id.kind()) {
            Some(loss) => (self.lose(loss, &baseline.place())?, Progress::LeftOut),
            None => {
                self.attributes(header, &baseline)?;
                self.select(header.db, out.commands);
                let due = is_due(header.expire_at, out.now);
                out.commands.push(&[b"DEL", if due { &header.key } else { &growing }]);
                (Effect::Written, if due { Progress::LeftOut } else { Progress::Writing { ttl_lost: false } })
            }
        };
        let (db, key, expire_at) = (header.db, header.key.clone(), header.expire_at);
        let open = OpenValue { db, key, growing, expire_at, progress };
        self.open.insert(id, open);
        Ok(effect)
    }

    /// Writes the next piece of an open value.
    ///
    /// # Errors
    /// [`TranslateError`].
    pub fn piece(
        &mut self,
        id: ValueId,
        piece: &Piece,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let mut value = self.open.remove(&id).ok_or(TranslateError::NotOpen)?;
        let effect = match value.progress {
            Progress::LeftOut => Effect::Nothing,
            Progress::Writing { ttl_lost } => {
                let effect = if ttl_lost { Effect::Written } else { self.piece_ttl(&mut value, piece)? };
                self.select(value.db, out.commands);
                let rules = self.element_rules(out.now);
                let written = elements::write(&value.growing, piece.elements(), rules, out.commands);
                written.map_err(|error| value.baseline().damaged(error))?;
                effect
            }
        };
        self.open.insert(id, value);
        Ok(effect)
    }

    /// Counts a value once when one of its members has an expiry that the target cannot keep.
    fn piece_ttl(&mut self, value: &mut OpenValue, piece: &Piece) -> Result<Effect, TranslateError> {
        let field_ttl = self.has_field_ttl();
        let lost =
            |element: Result<Element<'_>, _>| element.is_ok_and(|e| elements::loses_ttl(&e, field_ttl));
        if !piece.elements().any(lost) {
            return Ok(Effect::Written);
        }
        value.progress = Progress::Writing { ttl_lost: true };
        self.lose(Loss::MemberTtl, &value.baseline().place())
    }

    /// Ends a value: it takes the place of what is under its key.
    ///
    /// # Errors
    /// [`TranslateError::NotOpen`].
    pub fn close(&mut self, id: ValueId, out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        let value = self.open.remove(&id).ok_or(TranslateError::NotOpen)?;
        if value.progress == Progress::LeftOut {
            return Ok(Effect::Nothing);
        }
        self.select(value.db, out.commands);
        elements::write_expiry(&value.growing, value.expire_at, out.commands);
        out.commands.push(&[b"RENAME", &value.growing, &value.key]);
        Ok(Effect::Written)
    }
}
