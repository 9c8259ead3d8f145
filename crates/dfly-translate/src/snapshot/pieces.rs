//! Values that arrive in pieces: bounded commands, one after another (P24). The value grows under a name of its own,
//! in the slot of its key, and takes the key's place when it is complete: readers never see a part of it, and a run
//! that ends in between leaves no part under the key (P13).

use bytes::Bytes;
use dfly_rdb::{Element, KeyHeader, Piece, RawValue, TypeId, ValueId, ValueKind};
use dfly_wire::{DbIndex, UnixMillis};

use super::Baseline;
use redis_slots::beside;

use crate::elements;
use crate::error::TranslateError;
use crate::policy::Loss;
use crate::translator::{Effect, Output, Translator, is_due};

/// A stream of at most this size is restored whole, in bytes. Beyond it commands rebuild it, which cannot set when a
/// consumer was last seen, nor what is pending of deleted entries.
const WHOLE_STREAM: usize = 32 << 20;

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

#[derive(Debug)]
enum Progress {
    /// Its pieces are passed over.
    LeftOut,
    /// A stream, kept until it is whole or larger than [`WHOLE_STREAM`]: only RESTORE carries all of it.
    Gathering { type_id: TypeId, pieces: Vec<Piece>, bytes: usize },
    /// It grows; `ttl_lost` once an expiry of a member was left out and counted.
    Writing { ttl_lost: bool },
}

impl Progress {
    fn begin(type_id: TypeId) -> Self {
        match type_id.kind() {
            ValueKind::Stream => Self::Gathering { type_id, pieces: Vec::new(), bytes: 0 },
            _ => Self::Writing { ttl_lost: false },
        }
    }
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
        let (effect, progress) = match Loss::of(type_id.kind()) {
            Some(loss) => (self.lose(loss, &baseline.place())?, Progress::LeftOut),
            None => {
                self.attributes(header, &baseline)?;
                self.select(header.db, out.commands);
                let due = is_due(header.expire_at, out.now);
                out.commands.push(&[b"DEL", if due { &header.key } else { &growing }]);
                (Effect::Written, if due { Progress::LeftOut } else { Progress::begin(type_id) })
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
        let effect = match &mut value.progress {
            Progress::LeftOut => Effect::Nothing,
            Progress::Gathering { pieces, bytes, .. } => {
                pieces.push(piece.clone());
                *bytes += piece.bytes().len();
                if *bytes > WHOLE_STREAM {
                    let gathered = std::mem::take(pieces);
                    value.progress = Progress::Writing { ttl_lost: false };
                    for piece in &gathered {
                        self.grow(&value, piece, out)?;
                    }
                }
                Effect::Written
            }
            Progress::Writing { ttl_lost } => {
                let effect = if *ttl_lost { Effect::Written } else { self.piece_ttl(&mut value, piece)? };
                self.grow(&value, piece, out)?;
                effect
            }
        };
        self.open.insert(id, value);
        Ok(effect)
    }

    fn grow(&mut self, value: &OpenValue, piece: &Piece, out: &mut Output<'_>) -> Result<(), TranslateError> {
        self.select(value.db, out.commands);
        let rules = self.element_rules(out.now);
        elements::write(&value.growing, piece.elements(), rules, out.commands)
            .map_err(|error| value.baseline().damaged(error))
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
        match &value.progress {
            Progress::LeftOut => Ok(Effect::Nothing),
            Progress::Gathering { type_id, pieces, .. } => {
                let payload: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes()).copied().collect();
                self.baseline(&value.baseline(), &RawValue::new(*type_id, payload.into()), out)
            }
            Progress::Writing { .. } => {
                self.select(value.db, out.commands);
                elements::write_expiry(&value.growing, value.expire_at, out.commands);
                out.commands.push(&[b"RENAME", &value.growing, &value.key]);
                Ok(Effect::Written)
            }
        }
    }
}
