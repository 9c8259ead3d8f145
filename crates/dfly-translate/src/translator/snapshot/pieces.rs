//! Values that arrive in pieces are written by bounded commands, one after another (P24). Such a value grows under its own
//! name in the slot of its key, and replaces the key when it is complete. So readers never see a part of it, and a run that
//! ends in between leaves no part under the key (P13).

use std::borrow::Cow;

use bytes::Bytes;
use dfly_rdb::{Element, KeyHeader, Piece, RawValue, TypeId, ValueId, ValueKind};
use dfly_wire::{DbIndex, UnixMillis};

use super::Baseline;
use crate::error::{TranslateError, shown};
use crate::facts::CommandFacts;
use crate::names::ReservedNames;
use crate::policy::Loss;
use crate::translator::destination::Destination;
use crate::translator::elements::{self, Written};
use crate::translator::notes::Beside;
use crate::translator::streams::Rebuild;
use crate::translator::{Effect, Output, Translator, is_due};

/// The maximum size of a stream that is restored as a whole, in bytes. Larger ones are written by commands, which cannot set
/// when a consumer was last seen. If pending entries may be deleted from the stream, its groups are restored, and its entries
/// added behind them.
const WHOLE_STREAM: usize = 32 << 20;

/// A value that is not complete.
#[derive(Debug)]
pub(crate) struct OpenValue {
    db: DbIndex,
    key: Bytes,
    /// The name under which it grows.
    growing: Vec<u8>,
    expire_at: Option<UnixMillis>,
    /// The size of the pieces so far, in bytes.
    bytes: usize,
    /// The largest number of fields of a stream's entry so far.
    widest: u64,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    /// Its pieces are skipped.
    LeftOut,
    /// A stream or document that is held until it is complete. Only RESTORE transfers everything of a stream (up to
    /// [`WHOLE_STREAM`]), and a document is one text.
    Gathering { type_id: TypeId, pieces: Vec<Piece> },
    /// It grows.
    Writing(Members),
}

/// The expiries of members and fields that the target cannot keep.
#[derive(Debug)]
enum Members {
    /// None has been seen yet.
    Untimed,
    /// They are left out, and the value has been counted.
    Lost,
    /// They are kept beside the key. The time is the earliest so far.
    Beside(Beside, Option<UnixMillis>),
}

impl Progress {
    fn begin(type_id: TypeId) -> Self {
        match type_id.kind() {
            ValueKind::Stream | ValueKind::Json => Self::Gathering { type_id, pieces: Vec::new() },
            _ => Self::Writing(Members::Untimed),
        }
    }
}

impl OpenValue {
    fn baseline(&self) -> Baseline<'_> {
        Baseline { db: self.db, key: &self.key, expire_at: self.expire_at }
    }

    pub(crate) fn db(&self) -> DbIndex {
        self.db
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Whether the value grows, or is rebuilt, under this name.
    pub(crate) fn grows_under(&self, names: &ReservedNames, name: &[u8]) -> bool {
        self.growing == name || names.rebuilt(&self.key) == name
    }

    fn growing(&self) -> Destination<'_> {
        Destination::side_key(self.db, &self.growing)
    }
}

impl Translator {
    /// Begins a value that arrives in pieces.
    ///
    /// # Errors
    /// [`TranslateError`]. Nothing of the key is written in that case.
    pub fn open(
        &mut self,
        (id, type_id): (ValueId, TypeId),
        header: &KeyHeader,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let chosen = self.chosen(header, type_id.kind())?;
        let (db, key) = chosen.clone().unwrap_or((header.db, Cow::Borrowed(&header.key[..])));
        let baseline = Baseline { db, key: &key, expire_at: header.expire_at };
        if chosen.is_some() {
            self.check_db(&baseline.place())?;
        }
        let growing = self.rules.names.growing(&key);
        let (effect, progress) = match self.unheld(type_id.kind()) {
            _ if chosen.is_none() => (self.unchosen(header, type_id.kind())?, Progress::LeftOut),
            Some(loss) => (self.leave_out(loss, &baseline, out)?, Progress::LeftOut),
            None => {
                self.attributes(header, &baseline)?;
                self.forget_members((db, &key), out.commands);
                if is_due(header.expire_at, out.now) {
                    self.delete(&baseline, out);
                    (Effect::Written, Progress::LeftOut)
                } else {
                    self.write(CommandFacts::side_key(db), &[b"DEL", &growing], 1..2, out.commands);
                    (Effect::Written, Progress::begin(type_id))
                }
            }
        };
        let (key, expire_at) = (Bytes::copy_from_slice(&key), header.expire_at);
        self.open.insert(id, OpenValue { db, key, growing, expire_at, bytes: 0, widest: 0, progress });
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
        value.bytes += piece.bytes().len();
        let effect = match &mut value.progress {
            Progress::LeftOut => Effect::Nothing,
            Progress::Gathering { type_id, pieces } => {
                pieces.push(piece.clone());
                let is_stream = type_id.kind() == ValueKind::Stream;
                if value.bytes > self.whole && !is_stream {
                    let (key, db) = (shown(&value.key), value.db);
                    return Err(TranslateError::TooLarge { key, db, limit: self.whole });
                }
                if value.bytes > WHOLE_STREAM.min(self.whole) && is_stream {
                    let gathered = std::mem::take(pieces);
                    value.progress = Progress::Writing(Members::Untimed);
                    for piece in &gathered {
                        self.grow(&mut value, piece, out)?;
                    }
                }
                Effect::Written
            }
            Progress::Writing(_) => {
                let effect = self.piece_ttl(&mut value, piece, out)?;
                self.grow(&mut value, piece, out)?;
                effect
            }
        };
        self.open.insert(id, value);
        Ok(effect)
    }

    fn grow(
        &mut self,
        value: &mut OpenValue,
        piece: &Piece,
        out: &mut Output<'_>,
    ) -> Result<(), TranslateError> {
        self.select(value.db, out.commands);
        let expiry = match &value.progress {
            Progress::Writing(Members::Beside(beside, _)) => {
                Some(Destination::side_key(value.db, &beside.expiry))
            }
            _ => None,
        };
        let rebuilt = self.rules.names.rebuilt(&value.key);
        let (format, bytes, widest) = (self.target.format, value.bytes, value.widest);
        let rebuild = Some(Rebuild { key: &rebuilt, format, bytes, widest })
            .filter(|_| !self.avoids_payload(value.db, &value.key));
        let rules = elements::Rules { rebuild, ..self.element_rules(expiry, out.now) };
        let Written { earliest, widest, loses_pending } =
            elements::write(value.growing(), piece.elements(), rules, out.commands)
                .map_err(|error| value.baseline().damaged(error))?;
        value.widest = value.widest.max(widest);
        if loses_pending {
            self.lose(Loss::Pending, &value.baseline().place())?;
        }
        if let Progress::Writing(Members::Beside(_, first)) = &mut value.progress {
            *first = [*first, earliest].into_iter().flatten().min();
        }
        Ok(())
    }

    /// Looks for members with an expiry that the target cannot keep. A value is counted only once.
    fn piece_ttl(
        &mut self,
        value: &mut OpenValue,
        piece: &Piece,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let Progress::Writing(Members::Untimed) = value.progress else { return Ok(Effect::Written) };
        let field_ttl = self.has_field_ttl();
        let timed =
            |element: Result<Element<'_>, _>| element.is_ok_and(|e| elements::loses_ttl(&e, field_ttl));
        if !piece.elements().any(timed) {
            return Ok(Effect::Written);
        }
        if self.emulates() {
            let beside = self.watch_members((value.db, &value.key), out.commands);
            value.progress = Progress::Writing(Members::Beside(beside, None));
            return Ok(Effect::Written);
        }
        value.progress = Progress::Writing(Members::Lost);
        self.lose(Loss::MemberTtl, &value.baseline().place())
    }

    /// Ends a value, which now replaces what is under its key.
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
            Progress::Writing(members) => {
                self.select(value.db, out.commands);
                if let Members::Beside(beside, earliest) = members {
                    let due = Destination::side_key(value.db, &beside.expiry);
                    elements::write_expiry(due, value.expire_at, out.commands);
                    elements::write_due(value.db, beside, *earliest, out.commands);
                }
                elements::write_expiry(value.growing(), value.expire_at, out.commands);
                let words = [&b"RENAME"[..], &value.growing, &value.key];
                self.write(CommandFacts::value(value.db), &words, 1..3, out.commands);
                Ok(Effect::Written)
            }
        }
    }
}
