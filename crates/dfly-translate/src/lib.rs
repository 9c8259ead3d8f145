//! Translates snapshot entries and journal records of Dragonfly into commands for a Redis target.
//!
//! What it is: [`Translator`] turns each decoded value and record into commands in a caller's
//! [`CommandBatch`](redis_resp::CommandBatch), each with its keys marked and with its [`CommandFacts`] as its tag. One
//! table says what to do with each command ([`CommandSpec`]); a record that is not in it is never guessed. What the target
//! cannot hold is a [`Loss`], and a [`Policy`] says what to do about it. Keys of the tool have [`ReservedNames`].
//!
//! What it is not: it opens no socket, reads no clock (the time is an argument), and decides nothing about order,
//! retries or positions.
//!
//! ```
//! use bytes::Bytes;
//! use dfly_journal::{Decoder, Record, encode};
//! use dfly_rdb::{Family, payload::TargetFormat};
//! use dfly_translate::{CommandFacts, Effect, Loss, Output, Policy, Rules, Target, Translator};
//! use dfly_wire::{DbIndex, UnixMillis};
//! use redis_resp::CommandBatch;
//!
//! let mut wire = Vec::new();
//! encode::select(DbIndex(0), &mut wire);
//! encode::command(Default::default(), &[b"SET", b"k", b"v", b"STICK"], &mut wire);
//! let mut records = Vec::new();
//! Decoder::blobs().decode_blob(Bytes::from(wire), &mut records).unwrap();
//! let Record::Command(set) = &records[0] else { panic!() };
//!
//! let target = Target::plain(TargetFormat { family: Family::Redis, version: (7, 0) });
//! let mut translator = Translator::new(target, Rules::from(Policy::Fail));
//! let mut commands = CommandBatch::default();
//! let mut out = Output { commands: &mut commands, now: UnixMillis(0) };
//! // The flag that protects the key from eviction is lost; the key is written.
//! assert_eq!(translator.record(set, &mut out).unwrap(), Effect::Lost(Loss::Sticky));
//! let written = commands.command(0).unwrap();
//! assert_eq!(written.arguments().collect::<Vec<_>>(), [&b"SET"[..], b"k", b"v"]);
//! assert_eq!(written.keys().collect::<Vec<_>>(), [b"k"]);
//! assert!(CommandFacts::of(written).idempotent);
//! ```

mod aliases;
mod commands_sent;
mod error;
mod expiry;
mod facts;
mod glob;
mod idempotence;
mod loss_reason;
mod names;
mod policies;
mod policy;
mod quirks;
mod refetch;
mod script;
mod selection;
mod settings;
mod table;
mod target;
mod translator;

pub use aliases::{Alias, Aliases};
pub use commands_sent::{called_by, called_for_values, records_with};
pub use error::TranslateError;
pub use expiry::{KeyExpiry, key_expiry};
pub use facts::{CommandFacts, CommandKind};
pub use glob::Glob;
pub use names::{ReservedNames, TaskName, TaskNameError};
pub use policies::Policies;
pub use policy::{Loss, Losses, Policy};
pub use quirks::{Quirks, ZAddBeyond};
pub use refetch::{Reason, RefetchRequest};
pub use selection::{Choice, DbMap, Kept, Rename, Selection};
pub use table::{Availability, CommandSpec, Members, NamedKey, Rule, WorksOn, lookup, specs};
pub use target::{Ability, Target};
pub use translator::{Effect, Emptied, Flush, Form, Output, Rules, Translator, flushed_slots};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
