//! The body of a value, which follows its count.

use dfly_wire::packed;

use super::Written;
use super::form::{Form, form};
use crate::error::ValueError;
use crate::payload::{TargetFormat, plain, stream};
use crate::string;
use crate::text::Text;
use crate::type_id::TypeId;
use crate::value::{Element, Elements, Piece, RawValue};

/// Collects the body of one value piece by piece, and counts its elements.
#[derive(Debug)]
pub struct ValueWriter {
    source: TypeId,
    form: Form,
    /// Elements in the body.
    count: u64,
    lost_expiries: bool,
}

/// The base of field expiries in Redis's encoding, in milliseconds: the value 1 is this time. With this base they are
/// absolute, so the smallest need not be known before the first is written.
const EXPIRY_BASE: u64 = 1;

impl ValueWriter {
    /// For a value of `type_id` that arrives in pieces; `None` if `target` does not support it.
    pub fn new(type_id: TypeId, target: &TargetFormat) -> Option<Self> {
        let form = form(type_id, target)?;
        Some(Self { source: type_id, form, count: 0, lost_expiries: false })
    }

    /// For a whole value: fields are written with expiries only if one has an expiry.
    pub(super) fn for_whole(value: &RawValue, target: &TargetFormat) -> Option<Self> {
        let mut writer = Self::new(value.type_id(), target)?;
        let expires = |element: Result<Element<'_>, _>| {
            matches!(element, Ok(Element::Field { expire_at: Some(_), .. }))
        };
        if matches!(writer.form, Form::Expiring(_)) && !value.elements().any(expires) {
            writer.form = Form::Plain(TypeId::Hash);
        }
        Some(writer)
    }

    /// Appends a piece to the body.
    ///
    /// # Errors
    /// If the value has to be re-encoded and the piece is malformed.
    pub fn piece(&mut self, piece: &Piece, body: &mut Vec<u8>) -> Result<(), ValueError> {
        match self.form {
            Form::Same => body.extend_from_slice(piece.bytes()),
            Form::Stream(type_id) => stream::write_part(piece.start(), piece.bytes(), (type_id, body))?,
            Form::Plain(_) | Form::Expiring(_) => self.elements(piece.elements(), body)?,
        }
        Ok(())
    }

    /// Appends the body of a whole value.
    pub(super) fn whole(&mut self, value: &RawValue, body: &mut Vec<u8>) -> Result<(), ValueError> {
        match self.form {
            Form::Same => body.extend_from_slice(value.payload()),
            Form::Stream(type_id) => stream::write(value, type_id, body).map(|_reencoded| ())?,
            Form::Plain(_) | Form::Expiring(_) => self.elements(value.elements(), body)?,
        }
        Ok(())
    }

    /// How the value was written, up to the last piece.
    pub fn written(&self) -> Written {
        match self.form {
            Form::Same => Written::Verbatim,
            _ if self.lost_expiries => Written::WithoutExpiries,
            _ => Written::Reencoded,
        }
    }

    /// The encoding in the file.
    pub(super) fn type_id(&self) -> TypeId {
        match self.form {
            Form::Same => self.source,
            Form::Plain(type_id) | Form::Expiring(type_id) | Form::Stream(type_id) => type_id,
        }
    }

    /// Appends what precedes the body.
    pub(super) fn write_head(&self, out: &mut Vec<u8>) {
        match self.form {
            // The count is the start of the body.
            Form::Same | Form::Stream(_) => return,
            Form::Expiring(TypeId::HashMetadata) => out.extend_from_slice(&EXPIRY_BASE.to_le_bytes()),
            Form::Expiring(_) | Form::Plain(_) => {}
        }
        packed::write_uint(self.count, out);
    }

    fn elements(&mut self, elements: Elements<'_>, body: &mut Vec<u8>) -> Result<(), ValueError> {
        for element in elements {
            let element = element?;
            self.count += 1;
            match (self.form, &element) {
                (Form::Expiring(type_id), Element::Field { .. }) => {
                    write_expiring(type_id, &element, body);
                }
                _ => {
                    self.lost_expiries |= plain::has_expiry(&element);
                    plain::write_element(&element, body);
                }
            }
        }
        Ok(())
    }
}

/// Appends a field with its expiry in the form of Redis 7.4 (expiry first, relative to the base, 0 for none) or of Valkey 9
/// (expiry last, absolute, -1 for none).
fn write_expiring(type_id: TypeId, element: &Element<'_>, out: &mut Vec<u8>) {
    let Element::Field { field, value, expire_at } = element else { return };
    if type_id == TypeId::HashMetadata {
        let ttl = expire_at.map_or(0, |at| u64::try_from(at.0).unwrap_or_default().max(EXPIRY_BASE));
        packed::write_uint(ttl, out);
    }
    write_pair(field, value, out);
    if type_id == TypeId::HashValkey {
        out.extend_from_slice(&expire_at.map_or(-1, |at| at.0).to_le_bytes());
    }
}

fn write_pair(field: &Text<'_>, value: &Text<'_>, out: &mut Vec<u8>) {
    string::write(field, out);
    string::write(value, out);
}
