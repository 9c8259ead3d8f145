//! What can be seen of a record that cannot be decoded.

use dfly_wire::packed;

use crate::opcode::Opcode;

/// The most words that are looked for.
const MOST: usize = 8;

/// The first words of the first record in `bytes`, the name first, as far as they have arrived: the last one may be cut. Empty
/// if no command comes first. For messages only: sizes are not checked.
pub fn first_words(bytes: &[u8]) -> Vec<&[u8]> {
    let mut words = Vec::new();
    if let Some((mut rest, count)) = arguments(bytes) {
        while let Some((behind, word)) = word(rest).filter(|_| words.len() < count) {
            words.push(word);
            rest = behind;
        }
    }
    words
}

/// The bytes of the arguments of the first command, and how many arguments to look for.
fn arguments(mut bytes: &[u8]) -> Option<(&[u8], usize)> {
    loop {
        let (rest, opcode) = packed::uint(bytes).ok()?;
        let (rest, first_field) = packed::uint(rest).ok()?;
        match Opcode::from_wire(opcode)? {
            Opcode::Select | Opcode::Lsn => bytes = rest,
            Opcode::Command | Opcode::Expired | Opcode::MultiCommand => {
                let _txid = first_field;
                let (rest, _shards) = packed::uint(rest).ok()?;
                let (rest, count) = packed::uint(rest).ok()?;
                let (rest, _announced) = packed::uint(rest).ok()?;
                return Some((rest, usize::try_from(count).unwrap_or(MOST).min(MOST)));
            }
            Opcode::Ping | Opcode::Exec => return None,
        }
    }
}

/// A word, or what has arrived of it. `None` if nothing of it has.
fn word(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (rest, length) = packed::uint(bytes).ok()?;
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
    let (word, rest) = rest.split_at_checked(length)?;
    (!word.is_empty()).then_some((rest, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C36: the key of a record that is too large to arrive.
    #[test]
    fn words_of_a_record_that_has_not_arrived() {
        let wire =
            b"\x06\x03\x0f\x07\x0a\x00\x01\x03\x80\x00\x10\x00\x00\x03SET\x06my-key\x80\x00\x0f\xff\x00val";
        let shown = |length: usize| first_words(&wire[..length]);
        assert_eq!(shown(wire.len()), [&b"SET"[..], b"my-key", b"val"]);
        assert_eq!(shown(wire.len() - 3), [&b"SET"[..], b"my-key"]);
        assert_eq!(shown(20), [&b"SET"[..], b"my"]);
        for length in 0..wire.len() {
            assert!(shown(length).len() <= 3, "{length}");
        }
        assert_eq!(first_words(b"\x0d"), [b""; 0]);
        assert_eq!(first_words(b"-ERR no"), [b""; 0]);
    }
}
