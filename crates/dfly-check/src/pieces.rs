//! Compares values that are too large to be read at once, piece by piece, in bounded memory.
//!
//! Where order counts, both sides are read in the same windows. Where it does not, the elements of one side are looked up on the
//! other: if it has them all, and both have as many, they are the same, however often SCAN gives an element.

pub(crate) mod named;
mod ordered;
mod stream;

use bytes::Bytes;
use dfly_rdb::ValueKind;
use dfly_replica::Question;
use dfly_translate::ReservedNames;
use redis_resp::Reply;

use crate::link::{SideError, number_of};
use crate::observe::Observer;
use crate::requests::{length_command, question, refusal};
use crate::type_name::TypeName;
use crate::verdict::{Pair, What};

/// How large values are compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PieceRules<'a> {
    /// How many bytes a piece has, roughly: an element is never split.
    pub piece: usize,
    /// Values with more elements, or strings with more bytes, are compared by their lengths and samples; `None`: none are.
    pub sample_above: Option<u64>,
    /// Expiries this close to each other are equal, in milliseconds.
    pub tolerance_ms: i64,
    /// The names of the tool's own keys on the target.
    pub names: &'a ReservedNames,
}

/// How many pieces of a value are compared that is only sampled.
const SAMPLES: u64 = 16;

/// What became of the comparison.
pub(crate) type PiecesFound = Result<Found, String>;

/// What was found out about a large value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Found {
    /// What differs.
    pub what: Vec<What>,
    /// How many elements or bytes each side has.
    pub lengths: (u64, u64),
}

/// Both sides of a large value.
pub(crate) struct Both<'a> {
    pub source: &'a mut Observer,
    pub target: &'a mut Observer,
    pub pair: &'a Pair,
    pub rules: PieceRules<'a>,
}

/// A failure of a comparison in pieces: of a side as a whole, or of this key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PieceError {
    #[error(transparent)]
    Side(#[from] SideError),
    #[error("{0}")]
    Key(String),
}

/// Compares a value of this type. The error of a side is one of all keys, and a refusal one of this key.
///
/// # Errors
/// A side stays away.
pub(crate) async fn compare(kind: &TypeName, both: &mut Both<'_>) -> Result<PiecesFound, SideError> {
    match of_kind(kind, both).await {
        Ok(found) => Ok(Ok(found)),
        Err(PieceError::Key(reason)) => Ok(Err(reason)),
        Err(PieceError::Side(error)) => Err(error),
    }
}

async fn of_kind(name: &TypeName, both: &mut Both<'_>) -> Result<Found, PieceError> {
    let kind = name.known().filter(|kind| kind.is_core());
    let unknown = || PieceError::Key(format!("values of type {name} have no pieces"));
    let (kind, command) = kind.zip(length_command(name)).ok_or_else(unknown)?;
    let lengths = both.lengths(command).await?;
    let is_sampled = both.rules.sample_above.is_some_and(|most| lengths.0.max(lengths.1) > most);
    let mut what: Vec<What> = (lengths.0 != lengths.1).then_some(What::Length).into_iter().collect();
    let scope = Scope { lengths, is_sampled };
    match kind {
        ValueKind::String if lengths.0 == lengths.1 => what.extend(ordered::text(both, scope).await?),
        ValueKind::String => {}
        ValueKind::List => what.extend(ordered::list(both, scope).await?),
        ValueKind::Stream => what.extend(stream::compare(both, scope).await?),
        kind => {
            let found = named::compare(kind, both, scope).await?;
            // A length counts elements that have expired and were not removed yet.
            if found.is_empty() && kind != ValueKind::SortedSet && !is_sampled {
                what.clear();
            }
            what.extend(found);
        }
    }
    Ok(Found { what, lengths })
}

/// What is compared of a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope {
    pub lengths: (u64, u64),
    pub is_sampled: bool,
}

impl Both<'_> {
    pub(crate) async fn ask_source(&mut self, questions: &[Question]) -> Result<Vec<Reply>, PieceError> {
        Ok(self.source.link.ask(self.pair.source.db, questions).await?)
    }

    pub(crate) async fn ask_target(&mut self, questions: &[Question]) -> Result<Vec<Reply>, PieceError> {
        Ok(self.target.link.ask(self.pair.target.db, questions).await?)
    }

    /// Asks both sides the same.
    pub(crate) async fn ask_both(
        &mut self,
        write: impl Fn(&Bytes) -> Question,
    ) -> Result<(Reply, Reply), PieceError> {
        let (one, other) = ([write(&self.pair.source.name)], [write(&self.pair.target.name)]);
        let (one, other) = tokio::join!(
            self.source.link.ask(self.pair.source.db, &one),
            self.target.link.ask(self.pair.target.db, &other)
        );
        Ok((first(one?), first(other?)))
    }

    async fn lengths(&mut self, command: &'static [u8]) -> Result<(u64, u64), PieceError> {
        let (one, other) = self.ask_both(|key| question(&[command], key, &[])).await?;
        let length = |side: &str, reply: &Reply| {
            let length = number_of(reply).map(i64::unsigned_abs);
            length.ok_or_else(|| PieceError::Key(format!("on the {side}: {}", refusal(reply, "its length"))))
        };
        Ok((length("source", &one)?, length("target", &other)?))
    }

    /// How many elements a piece has: as many as have its size, going by what the source says of the whole.
    pub(crate) async fn elements_of_a_piece(&mut self, length: u64) -> Result<u64, PieceError> {
        let asked = question(&[b"MEMORY", b"USAGE"], &self.pair.source.name, &[]);
        let reply = first(self.ask_source(&[asked]).await?);
        let each = number_of(&reply).map_or(256, |bytes| bytes.unsigned_abs() / length.max(1)).max(1);
        Ok((self.rules.piece as u64 / each).clamp(1, 4096))
    }
}

pub(crate) fn first(replies: Vec<Reply>) -> Reply {
    replies.into_iter().next().unwrap_or(Reply::Nil)
}

/// The elements of an array; what it is instead, in words.
pub(crate) fn array(reply: Reply, side: &str) -> Result<Vec<Reply>, PieceError> {
    match reply {
        Reply::Array(replies) => Ok(replies),
        Reply::Nil => Ok(Vec::new()),
        other => Err(PieceError::Key(format!("on the {side}: {}", refusal(&other, "its elements")))),
    }
}

/// Where windows begin: everywhere, or at some places spread over the whole.
pub(crate) fn starts(length: u64, window: u64, is_sampled: bool) -> Box<dyn Iterator<Item = u64> + Send> {
    let window = window.max(1);
    let count = length.div_ceil(window);
    let step = if is_sampled { count.div_ceil(SAMPLES).max(1) } else { 1 };
    Box::new((0..count).step_by(usize::try_from(step).unwrap_or(usize::MAX)).map(move |nth| nth * window))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows() {
        assert_eq!(starts(10, 4, false).collect::<Vec<_>>(), [0, 4, 8]);
        assert_eq!(starts(0, 4, false).count(), 0);
        let sampled: Vec<u64> = starts(1_000_000, 100, true).collect();
        assert!(sampled.len() <= 16 && sampled.first() == Some(&0), "{sampled:?}");
    }
}
