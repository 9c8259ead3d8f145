//! What is said, in the languages of the page.

mod figures;
mod language;
mod phrase;
mod table;

pub(crate) use figures::{Figure, real};
pub use language::Language;
pub(crate) use phrase::{Phrase, Text, say};
pub(crate) use table::Texts;
