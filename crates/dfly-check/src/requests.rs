//! Requests about one key, and what refusals of them mean.

use bytes::Bytes;
use dfly_rdb::ValueKind;
use dfly_replica::Question;
use redis_resp::{ErrorCode, Reply, ServerError};

use crate::type_name::TypeName;

/// A request: its name, of one word or two, the key, and the rest.
pub(crate) fn question(name: &[&'static [u8]], key: &Bytes, rest: &[&[u8]]) -> Question {
    let name = name.iter().map(|word| Bytes::from_static(word));
    let rest = rest.iter().map(|word| Bytes::copy_from_slice(word));
    Question(name.chain([key.clone()]).chain(rest).collect())
}

/// The command that tells how long a value of this type is.
pub(crate) fn length_command(kind: &TypeName) -> Option<&'static [u8]> {
    Some(match kind.known()? {
        ValueKind::String => b"STRLEN",
        ValueKind::List => b"LLEN",
        ValueKind::Set => b"SCARD",
        ValueKind::Hash => b"HLEN",
        ValueKind::SortedSet => b"ZCARD",
        ValueKind::Stream => b"XLEN",
        _ => return None,
    })
}

/// Why something was not told, in words. Replies that are values are not shown.
pub(crate) fn refusal(reply: &Reply, what: &str) -> String {
    match reply {
        Reply::Error(error) => format!("{what} is refused: {}", shortened(error)),
        _ => format!("the answer about {what} has another form than expected"),
    }
}

pub(crate) fn refused_by(replies: &[Reply], what: &str) -> String {
    let refused = replies.iter().find(|reply| matches!(reply, Reply::Error(_)));
    refusal(refused.unwrap_or(&Reply::Nil), what)
}

fn shortened(error: &ServerError) -> String {
    error.line.chars().take(120).collect()
}

pub(crate) fn is_unknown(reply: &Reply) -> bool {
    matches!(reply, Reply::Error(error) if error.line.to_ascii_lowercase().contains("unknown command"))
}

/// Whether a command may not be used, or does not exist.
pub(crate) fn is_forbidden(reply: &Reply) -> bool {
    matches!(reply, Reply::Error(error) if error.code == ErrorCode::NoPermission) || is_unknown(reply)
}
