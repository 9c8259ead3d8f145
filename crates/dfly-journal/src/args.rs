//! The arguments of a record, in the encoding of the journal.

use std::fmt;

use bytes::Bytes;
use dfly_wire::{fixed, packed};

/// Name and arguments of a command, stored as `count` pairs of a packed length and bytes. Never empty.
#[derive(Clone, PartialEq, Eq)]
pub struct Args {
    count: usize,
    raw: Bytes,
    /// Where the name is in `raw`, and the argument behind it: these are asked for again and again.
    heads: [Span; 2],
}

/// A range of bytes. Empty, and at the end of what is before, if there is no such argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Span {
    start: usize,
    end: usize,
}

impl Args {
    /// Arguments whose layout was validated by [`crate::Decoder`].
    pub(crate) fn checked(count: usize, raw: Bytes) -> Self {
        let mut arguments = ArgIter { rest: &raw, left: count };
        let heads = [(); 2].map(|()| {
            let length = arguments.next().map_or(0, <[u8]>::len);
            let end = raw.len() - arguments.rest.len();
            Span { start: end - length, end }
        });
        Self { count, raw, heads }
    }

    /// Encodes `words`, the name first. The arguments of a record that was not received.
    pub fn of<A: AsRef<[u8]>>(words: &[A]) -> Self {
        let mut raw = Vec::with_capacity(words.iter().map(|word| word.as_ref().len() + 9).sum());
        for word in words {
            packed::write_uint(word.as_ref().len() as u64, &mut raw);
            raw.extend_from_slice(word.as_ref());
        }
        Self::checked(words.len(), raw.into())
    }

    /// The number of arguments, including the name.
    #[expect(clippy::len_without_is_empty, reason = "a command always has a name")]
    pub fn len(&self) -> usize {
        self.count
    }

    /// The name of the command as the master sent it, in upper case.
    pub fn name(&self) -> &[u8] {
        self.get(0).unwrap_or_default()
    }

    /// Argument `index`; 0 is the name.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let [name, first] = self.heads;
        match index {
            _ if index >= self.count => None,
            0 => self.raw.get(name.start..name.end),
            1 => self.raw.get(first.start..first.end),
            _ => {
                let rest = self.raw.get(first.end..)?;
                ArgIter { rest, left: self.count - 2 }.nth(index - 2)
            }
        }
    }

    /// All arguments, the name first.
    pub fn iter(&self) -> ArgIter<'_> {
        ArgIter { rest: &self.raw, left: self.count }
    }

    /// Argument `index` without a copy. It shares the memory of the record.
    pub fn shared(&self, index: usize) -> Option<Bytes> {
        self.get(index).map(|argument| self.raw.slice_ref(argument))
    }

    /// Size of the encoded arguments, in bytes.
    pub fn byte_len(&self) -> usize {
        self.raw.len()
    }
}

impl<'a> IntoIterator for &'a Args {
    type Item = &'a [u8];
    type IntoIter = ArgIter<'a>;
    fn into_iter(self) -> ArgIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Args {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|arg| arg.escape_ascii().to_string())).finish()
    }
}

/// Iterates over [`Args`].
#[derive(Debug, Clone)]
pub struct ArgIter<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for ArgIter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let (rest, len) = packed::size(self.rest, self.rest.len()).ok()?;
        let (rest, argument) = fixed::bytes(rest, len).ok()?;
        self.rest = rest;
        Some(argument)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for ArgIter<'_> {}
