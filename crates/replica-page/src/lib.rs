//! A page that shows a running replication to a person, and lets them cut over.
//!
//! What it is: HTML that is made here ([`routes`]), whole when it is loaded, and in parts as long as somebody looks at it, by
//! server-sent events. Everything that it needs is in this crate. What is shown is decided by pure code from what was
//! [`Seen`] of the run; the templates only write it down.
//!
//! What it is not: it changes nothing itself. Its buttons send requests of the API (`replica_api`), with the token of the run.
//!
//! ```
//! use dfly_replica::Phase;
//! use replica_api::wire::{Lag, Status};
//! use replica_page::{Language, Seen, sentence};
//!
//! let lag = Some(Lag { records: 12, millis: 300 });
//! let status = Status { phase: Phase::StableSync, in_sync: true, lag, ..Status::default() };
//! let seen = Seen { status, ..Seen::default() };
//! assert_eq!(sentence(&seen, Language::English), "In sync, 0.3\u{a0}s behind");
//! assert_eq!(sentence(&seen, Language::Chinese), "已同步，落后 0.3\u{a0}秒");
//! ```

mod render;
mod seen;
mod server;
mod text;
mod view;

pub use seen::{Answer, Seen};
pub use server::{Source, routes};
pub use text::Language;

/// The answer to the first question: whether it is all right.
pub fn sentence(seen: &Seen, language: Language) -> String {
    view::headline::Headline::of(seen).sentence.plain(language.texts())
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
