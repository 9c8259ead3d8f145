//! Writing collections element by element, which every server since Redis 5.0 reads.

use dfly_wire::packed;

use super::Plan;
use crate::error::ValueError;
use crate::string;
use crate::value::{Element, RawValue};

/// Appends the elements of `value`. `Commands` if one has an expiry, which this encoding cannot hold.
pub(crate) fn write(value: &RawValue, out: &mut Vec<u8>) -> Result<Plan, ValueError> {
    let mut count = 0_u64;
    for element in value.elements() {
        count += 1;
        if has_expiry(&element?) {
            return Ok(Plan::Commands);
        }
    }
    packed::write_uint(count, out);
    for element in value.elements() {
        if !write_element(&element?, out) {
            return Ok(Plan::Commands);
        }
    }
    Ok(Plan::Reencode)
}

/// Whether a member or field has an expiry of its own.
pub(crate) fn has_expiry(element: &Element<'_>) -> bool {
    matches!(element, Element::Member { expire_at: Some(_), .. } | Element::Field { expire_at: Some(_), .. })
}

/// Appends an element of a collection without its expiry. Returns false for any other element.
pub(crate) fn write_element(element: &Element<'_>, out: &mut Vec<u8>) -> bool {
    match element {
        Element::Item(text) | Element::Member { member: text, .. } => string::write(text, out),
        Element::Field { field, value, .. } => {
            string::write(field, out);
            string::write(value, out);
        }
        Element::Scored { member, score } => {
            string::write(member, out);
            out.extend_from_slice(&score.to_le_bytes());
        }
        _ => return false,
    }
    true
}
