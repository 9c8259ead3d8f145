//! Values of the snapshot into commands. A baseline replaces whatever the target has under its key (P3).

mod pieces;

use dfly_rdb::payload::{Plan, plan, write_dump};
use dfly_rdb::{Element, Entry, IntBuffer, RawValue, ValueError, ValueKind};
use dfly_wire::{DbIndex, UnixMillis};

use crate::elements;
use crate::error::{TranslateError, shown};
use crate::policy::Loss;
use crate::translator::{Effect, Form, Output, Place, Translator, is_due};

pub(crate) use pieces::OpenValue;

/// A key, its place and its expiry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Baseline<'a> {
    pub db: DbIndex,
    pub key: &'a [u8],
    pub expire_at: Option<UnixMillis>,
}

impl<'a> Baseline<'a> {
    pub(crate) fn place(&self) -> Place<'a> {
        Place { what: "the value", key: self.key, db: self.db }
    }

    fn damaged(&self, error: ValueError) -> TranslateError {
        TranslateError::Value { key: shown(self.key), db: self.db, error }
    }
}

impl Translator {
    /// Writes the commands that put a whole value in place of what the target has.
    ///
    /// # Errors
    /// [`TranslateError`]; nothing of the key is written then.
    pub fn entry(&mut self, entry: &Entry, out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        let header = &entry.header;
        let baseline = Baseline { db: header.db, key: &header.key, expire_at: header.expire_at };
        let effect = self.baseline(&baseline, &entry.value, out)?;
        self.attributes(header, &baseline)?;
        Ok(effect)
    }

    /// Writes the command that loads a library of functions in place of one of the same name.
    ///
    /// # Errors
    /// [`TranslateError::Unsupported`].
    pub fn function(&mut self, source: &[u8], out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        if !self.has_functions() {
            let name = source.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let place = Place { what: "the function library", key: name, db: DbIndex(0) };
            return self.lose(Loss::Function, &place);
        }
        out.commands.push(&[b"FUNCTION", b"LOAD", b"REPLACE", source]);
        Ok(Effect::Written)
    }

    /// Counts what belongs to the key and only a Dragonfly has.
    fn attributes(
        &mut self,
        header: &dfly_rdb::KeyHeader,
        baseline: &Baseline<'_>,
    ) -> Result<(), TranslateError> {
        if header.sticky {
            self.lose(Loss::Sticky, &baseline.place())?;
        }
        if header.memcache_flags.is_some() {
            self.lose(Loss::MemcacheFlags, &baseline.place())?;
        }
        Ok(())
    }

    /// A whole value, from the snapshot or from a RESTORE record.
    pub(crate) fn baseline(
        &mut self,
        baseline: &Baseline<'_>,
        value: &RawValue,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        if let Some(loss) = Loss::of(value.kind()) {
            return self.lose(loss, &baseline.place());
        }
        if is_due(baseline.expire_at, out.now) {
            self.select(baseline.db, out.commands);
            out.commands.push(&[b"DEL", baseline.key]);
            return Ok(Effect::Written);
        }
        let is_string = value.kind() == ValueKind::String;
        match (self.form, plan(value, &self.target)) {
            (Form::Cheapest | Form::Commands, _) if is_string => self.string(baseline, value, out),
            (Form::Cheapest | Form::Restore, Plan::Verbatim | Plan::Reencode) => {
                self.restore(baseline, value, out)
            }
            (_, Plan::Commands) | (Form::Commands, _) => self.commands(baseline, value, out),
        }
    }

    fn string(
        &mut self,
        baseline: &Baseline<'_>,
        value: &RawValue,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let Some(element) = value.elements().next() else { return Ok(Effect::Nothing) };
        let Element::String(text) = element.map_err(|error| baseline.damaged(error))? else {
            return Ok(Effect::Nothing);
        };
        self.select(baseline.db, out.commands);
        let mut digits = IntBuffer::new();
        let text = text.as_bytes(&mut digits);
        match baseline.expire_at {
            Some(at) => {
                out.commands.start(5).arg(b"SET").arg(baseline.key).arg(text).arg(b"PXAT").int(at.0).finish();
            }
            None => out.commands.push(&[b"SET", baseline.key, text]),
        }
        Ok(Effect::Written)
    }

    fn restore(
        &mut self,
        baseline: &Baseline<'_>,
        value: &RawValue,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let mut payload = Vec::with_capacity(value.payload().len() + 16);
        match write_dump(value, &self.target, &mut payload).map_err(|error| baseline.damaged(error))? {
            Plan::Commands => return self.commands(baseline, value, out),
            Plan::Verbatim | Plan::Reencode => {}
        }
        self.select(baseline.db, out.commands);
        let expire_at = baseline.expire_at.map_or(0, |at| at.0);
        let mut restore = out.commands.start(6);
        restore
            .arg(b"RESTORE")
            .arg(baseline.key)
            .int(expire_at)
            .arg(&payload)
            .arg(b"REPLACE")
            .arg(b"ABSTTL")
            .finish();
        Ok(Effect::Written)
    }

    /// By the commands that a client would send. Readers see the value grow; what was there before is gone first.
    fn commands(
        &mut self,
        baseline: &Baseline<'_>,
        value: &RawValue,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let mut effect = Effect::Written;
        if self.loses_ttl(value).map_err(|error| baseline.damaged(error))? {
            effect = self.lose(Loss::MemberTtl, &baseline.place())?;
        }
        self.select(baseline.db, out.commands);
        let start = out.commands.len();
        out.commands.push(&[b"DEL", baseline.key]);
        let written =
            elements::write(baseline.key, value.elements(), self.element_rules(out.now), out.commands);
        if let Err(error) = written {
            out.commands.truncate(start);
            return Err(baseline.damaged(error));
        }
        elements::write_expiry(baseline.key, baseline.expire_at, out.commands);
        Ok(effect)
    }

    pub(crate) fn element_rules(&self, now: UnixMillis) -> elements::Rules {
        elements::Rules { now, field_ttl: self.has_field_ttl() }
    }

    /// Whether a member or field has an expiry that the target cannot keep.
    fn loses_ttl(&self, value: &RawValue) -> Result<bool, ValueError> {
        for element in value.elements() {
            if elements::loses_ttl(&element?, self.has_field_ttl()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
