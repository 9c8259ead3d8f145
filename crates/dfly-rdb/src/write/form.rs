//! The encoding of a value in a file for a target.

use crate::payload::{TargetFormat, accepted};
use crate::type_id::{Class, TypeId};

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Its bytes, unchanged.
    Same,
    /// Element by element.
    Plain(TypeId),
    /// Field by field, with the expiry of each.
    Expiring(TypeId),
    /// The nodes unchanged, and the part after them re-encoded.
    Stream(TypeId),
}

/// How a value of `type_id` is written for `target`; `None` if the server does not support it.
pub(super) fn form(type_id: TypeId, target: &TargetFormat) -> Option<Form> {
    let known = accepted(type_id, target);
    if known == Some(type_id) {
        return Some(Form::Same);
    }
    if has_field_expiries(type_id) {
        return Some(target.field_expiries().map_or(Form::Plain(TypeId::Hash), Form::Expiring));
    }
    let other = known?;
    Some(if other.class() == Class::Stream { Form::Stream(other) } else { Form::Plain(other) })
}

/// Whether fields of a hash may have an expiry in this encoding.
const fn has_field_expiries(type_id: TypeId) -> bool {
    matches!(
        type_id,
        TypeId::HashWithExpiry
            | TypeId::HashMetadata
            | TypeId::HashMetadataPreGa
            | TypeId::HashListpackEx
            | TypeId::HashListpackExPreGa
            | TypeId::HashValkey
    )
}
