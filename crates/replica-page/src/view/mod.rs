//! What is shown, decided without HTML, without a clock and without a language.

pub(crate) mod check;
pub(crate) mod cutover;
pub(crate) mod events;
pub(crate) mod flows;
pub(crate) mod headline;
pub(crate) mod left_out;
pub(crate) mod nodes;
pub(crate) mod plots;
pub(crate) mod rates;
pub(crate) mod rows;
pub(crate) mod safety;
pub(crate) mod sides;
pub(crate) mod stages;
pub(crate) mod tone;

#[cfg(test)]
pub(crate) mod examples;
