//! What the target knows of the keys that are refetched, so that a run that was killed goes on with them. A flow has one
//! set of names; in a target that keeps such names by slot, one for each slot.

use std::collections::BTreeMap;

use bytes::Bytes;
use dfly_wire::DbIndex;

use crate::keys::SourceKey;

/// What precedes a name whose key is ambiguous.
const AMBIGUOUS: &[u8] = b"?";

/// A member of the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Noted {
    pub key: SourceKey,
    /// Another key of the source may be meant.
    pub is_ambiguous: bool,
}

impl Noted {
    /// As the set holds it: `db:name`, behind a `?` if the key is ambiguous.
    pub(crate) fn member(key: &SourceKey, is_ambiguous: bool) -> Vec<u8> {
        let prefix = if is_ambiguous { AMBIGUOUS } else { b"" };
        [prefix, format!("{}:", key.db).as_bytes(), &key.name].concat()
    }

    /// `None`: this tool has not written it.
    pub(crate) fn parse(member: &[u8]) -> Option<Self> {
        let rest = member.strip_prefix(AMBIGUOUS);
        let (name, is_ambiguous) = (rest.unwrap_or(member), rest.is_some());
        let colon = memchr::memchr(b':', name)?;
        let db = std::str::from_utf8(name.get(..colon)?).ok()?.parse().ok()?;
        let key = SourceKey::new(DbIndex(db), Bytes::copy_from_slice(name.get(colon + 1..)?));
        Some(Self { key, is_ambiguous })
    }
}

/// What the sets lack.
#[derive(Debug, Default)]
pub(crate) struct Unwritten(BTreeMap<SourceKey, Change>);

/// What has become of a key since the last transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Removed,
}

impl Unwritten {
    /// The last change of a key counts.
    pub(crate) fn note(&mut self, key: SourceKey, change: Change) {
        self.0.insert(key, change);
    }

    /// The changes since the last call, by key.
    pub(crate) fn take(&mut self) -> BTreeMap<SourceKey, Change> {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_read_back() {
        for (key, is_ambiguous, member) in [
            (SourceKey::new(DbIndex(0), "k"), false, &b"0:k"[..]),
            (SourceKey::new(DbIndex(12), &b":a:\xff"[..]), true, b"?12::a:\xff"),
            (SourceKey::new(DbIndex(3), ""), false, b"3:"),
        ] {
            let written = Noted::member(&key, is_ambiguous);
            assert_eq!(written, member);
            assert_eq!(Noted::parse(&written), Some(Noted { key, is_ambiguous }));
        }
        for foreign in [&b""[..], b"k", b"x:k", b"??0:k"] {
            assert_eq!(Noted::parse(foreign), None);
        }
    }

    #[test]
    fn the_last_change_of_a_key_counts() {
        let (mut unwritten, key) = (Unwritten::default(), SourceKey::new(DbIndex(0), "k"));
        unwritten.note(key.clone(), Change::Added);
        unwritten.note(key.clone(), Change::Removed);
        assert_eq!(unwritten.take(), BTreeMap::from([(key, Change::Removed)]));
        assert!(unwritten.is_empty());
    }
}
