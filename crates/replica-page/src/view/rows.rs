//! Rows of a table, those in trouble first.

use std::cmp::Reverse;

use super::tone::Tone;
use crate::text::Texts;

/// How something is, in a word.
pub(crate) type State = (Tone, fn(&Texts) -> &'static str);

/// One row.
#[derive(Debug)]
pub(crate) struct Row<T> {
    pub of: T,
    pub tone: Tone,
    pub state: fn(&Texts) -> &'static str,
    /// What it does in a second.
    pub rate: Option<f64>,
}

impl<T: Clone> Row<T> {
    pub(super) fn new(of: &T, (tone, state): State, rate: Option<f64>) -> Self {
        Self { of: of.clone(), tone, state, rate }
    }
}

/// Those in trouble first. Rows that are as well as each other keep their places.
pub(super) fn by_trouble<T>(rows: impl Iterator<Item = Row<T>>) -> Vec<Row<T>> {
    let mut rows: Vec<Row<T>> = rows.collect();
    rows.sort_by_key(|row| Reverse(row.tone));
    rows
}
