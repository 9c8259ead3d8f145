//! The forms, by family.

mod bits;
mod documents;
mod geo;
mod hashes;
mod keys;
mod later;
mod lists;
mod members;
mod memcached;
mod sets;
mod sketches;
mod sort;
mod streams;
mod strings;
mod transactions;
mod values;
mod zsets;
mod zstores;

use super::form::Form;

/// Forms that run one after the other.
pub(super) const FAMILIES: &[&[Form]] = &[
    strings::FORMS,
    bits::FORMS,
    keys::FORMS,
    sort::FORMS,
    lists::FORMS,
    sets::FORMS,
    zsets::FORMS,
    zstores::FORMS,
    geo::FORMS,
    hashes::FORMS,
    members::FORMS,
    streams::FORMS,
    documents::FORMS,
    sketches::FORMS,
    memcached::FORMS,
    transactions::FORMS,
    values::FORMS,
];

/// Forms between whose preparation and action a second or two must pass.
pub(super) const LATER: &[Form] = later::FORMS;
