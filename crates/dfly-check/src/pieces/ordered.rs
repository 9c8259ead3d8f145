//! Strings and lists: both sides are read in the same windows.

use redis_resp::Reply;

use super::{Both, PieceError, Scope, array, starts};
use crate::requests::{question, refusal};
use crate::verdict::What;

/// Strings of one length. The first window that differs is enough.
pub(super) async fn text(both: &mut Both<'_>, scope: Scope) -> Result<Option<What>, PieceError> {
    let window = both.rules.piece as u64;
    for start in starts(scope.lengths.0, window, scope.is_sampled) {
        let (from, to) = (start.to_string(), (start + window - 1).to_string());
        let (one, other) =
            both.ask_both(|key| question(&[b"GETRANGE"], key, &[from.as_bytes(), to.as_bytes()])).await?;
        match (&one, &other) {
            (Reply::Bulk(one), Reply::Bulk(other)) if one == other => {}
            (Reply::Bulk(_), Reply::Bulk(_)) => return Ok(Some(What::Value)),
            (Reply::Bulk(_), refused) => {
                return Err(PieceError::Key(format!("on the target: {}", refusal(refused, "its value"))));
            }
            (refused, _) => {
                return Err(PieceError::Key(format!("on the source: {}", refusal(refused, "its value"))));
            }
        }
    }
    Ok(None)
}

/// Lists, place by place.
pub(super) async fn list(both: &mut Both<'_>, scope: Scope) -> Result<Option<What>, PieceError> {
    let (shorter, longer) = (scope.lengths.0.min(scope.lengths.1), scope.lengths.0.max(scope.lengths.1));
    let window = both.elements_of_a_piece(scope.lengths.0).await?;
    let mut differ = longer - shorter;
    for start in starts(shorter, window, scope.is_sampled) {
        let (from, to) = (start.to_string(), (start + window).min(shorter).saturating_sub(1).to_string());
        let (one, other) =
            both.ask_both(|key| question(&[b"LRANGE"], key, &[from.as_bytes(), to.as_bytes()])).await?;
        let (one, other) = (array(one, "source")?, array(other, "target")?);
        let apart = one.iter().zip(&other).filter(|(one, other)| one != other).count();
        differ += (apart + one.len().abs_diff(other.len())) as u64;
    }
    Ok((differ > 0).then_some(What::Elements { differ }))
}
