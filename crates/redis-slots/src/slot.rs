//! The hash slot of a key: CRC-16/XMODEM modulo 16384, of the hash tag if there is one (Redis cluster specification,
//! "Hash tags"; server `cluster.c`, `keyHashSlot`).

use std::sync::LazyLock;

use crc::{Crc, Table};

static XMODEM: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&crc::CRC_16_XMODEM);

/// The number of slots of a cluster.
pub const SLOTS: u16 = 16384;

/// A hash slot, 0 to 16383.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u16);

impl Slot {
    /// The slot of `key`.
    #[inline]
    pub fn of(key: &[u8]) -> Self {
        Self(XMODEM.checksum(hash_tag(key)) % SLOTS)
    }
}

/// A key that begins with `prefix`, contains `key`, and is in the same slot. No other key has the same one beside it. The
/// prefix must not contain braces.
pub fn beside(prefix: &str, key: &[u8]) -> Vec<u8> {
    let has_tag = hash_tag(key).len() < key.len();
    match (has_tag, memchr::memchr(b'}', key)) {
        (true, _) if resembles_a_tagged_one(key) => [prefix.as_bytes(), b":", key].concat(),
        (true, _) => [prefix.as_bytes(), key].concat(),
        (false, None) if !key.is_empty() => [prefix.as_bytes(), b"{", key, b"}"].concat(),
        _ => {
            // Of the empty key, more than the tag has to be left, which a number has too.
            let rest = if key.is_empty() { b"}" } else { key };
            [prefix.as_bytes(), b"{", tag_of(Slot::of(key)).to_string().as_bytes(), b"}", rest].concat()
        }
    }
}

/// Whether a key that has a tag of its own looks, behind colons, like one that [`beside`] has given a tag.
fn resembles_a_tagged_one(key: &[u8]) -> bool {
    let colons = key.iter().take_while(|byte| **byte == b':').count();
    let Some(b"{") = key.get(colons..=colons) else { return false };
    let tagged = key.get(colons + 1..).unwrap_or_default();
    let Some(end) = memchr::memchr(b'}', tagged) else { return false };
    let (tag, rest) = tagged.split_at(end);
    let is_number = tag.iter().all(u8::is_ascii_digit);
    rest.len() == 1 || (is_number && rest.get(1..).is_some_and(|rest| rest.contains(&b'}')))
}

/// For each slot, the smallest number whose decimal text is in it.
static TAGS: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let mut tags = vec![None; usize::from(SLOTS)];
    // Every slot has a number below 200,000.
    for number in 0..200_000u32 {
        let slot = Slot::of(number.to_string().as_bytes());
        if let Some(tag) = tags.get_mut(usize::from(slot.0)) {
            tag.get_or_insert(number);
        }
    }
    tags.into_iter().map(Option::unwrap_or_default).collect()
});

/// A hash tag of `slot`: the smallest number whose decimal text is in the slot.
pub fn tag_of(slot: Slot) -> u32 {
    TAGS.get(usize::from(slot.0)).copied().unwrap_or_default()
}

/// The part of the key that is hashed: the text between the first `{` and the next `}` if it is not empty, otherwise the
/// whole key.
pub fn hash_tag(key: &[u8]) -> &[u8] {
    let inside = memchr::memchr(b'{', key).and_then(|open| key.get(open + 1..));
    let tag = inside.and_then(|inside| inside.get(..memchr::memchr(b'}', inside)?));
    tag.filter(|tag| !tag.is_empty()).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replies of Redis 7.0 to CLUSTER KEYSLOT.
    #[test]
    fn known_slots() {
        for (key, slot) in
            [(&b"foo"[..], 12182), (b"bar", 5061), (b"{foo}bar", 12182), (b"", 0), (b"123456789", 12739)]
        {
            assert_eq!(Slot::of(key), Slot(slot), "{}", key.escape_ascii());
        }
    }

    #[test]
    fn beside_lies_in_the_same_slot() {
        for key in [&b"foo"[..], b"a{b}c", b"{}x", b"}x", b"", b"{", b"a{b", b"x}{y}", b"\xff\x00"] {
            let other = beside("df2redis:tmp:", key);
            assert_eq!(Slot::of(&other), Slot::of(key), "{}", key.escape_ascii());
            assert!(other.starts_with(b"df2redis:tmp:"));
        }
        for slot in 0..SLOTS {
            assert_eq!(Slot::of(tag_of(Slot(slot)).to_string().as_bytes()), Slot(slot));
        }
    }

    /// Neither short keys nor those that look like what lies beside them share it.
    #[test]
    fn beside_is_of_one_key() {
        let mut keys = std::collections::BTreeSet::from([Vec::new()]);
        for _ in 0..5 {
            let longer = |key: &Vec<u8>| b"{}:a7".map(|byte| [key.as_slice(), &[byte]].concat());
            keys.extend(keys.iter().flat_map(longer).collect::<Vec<_>>());
        }
        let lookalikes = |key: &Vec<u8>| {
            let beside = beside("", key);
            [[b":".as_slice(), &beside].concat(), beside]
        };
        keys.extend(keys.iter().flat_map(lookalikes).collect::<Vec<_>>());
        let mut seen = std::collections::BTreeMap::new();
        for key in &keys {
            let other = beside("df2redis:tmp:", key);
            assert_eq!(Slot::of(&other), Slot::of(key), "{}", key.escape_ascii());
            let shared = seen.insert(other, key);
            assert!(
                shared.is_none(),
                "{:?} and {}",
                shared.map(|key| key.escape_ascii().to_string()),
                key.escape_ascii()
            );
        }
    }

    #[test]
    fn tags() {
        for (key, hashed) in [
            (&b"foo{}{bar}"[..], &b"foo{}{bar}"[..]),
            (b"foo{{bar}}zap", b"{bar"),
            (b"foo{bar}{zap}", b"bar"),
            (b"foo{bar", b"foo{bar"),
            (b"}x{y}", b"y"),
        ] {
            assert_eq!(hash_tag(key), hashed, "{}", key.escape_ascii());
        }
    }
}
