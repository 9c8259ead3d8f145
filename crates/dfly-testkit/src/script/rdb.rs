//! Writes snapshot bytes: lengths and strings (protocol section 7.4).

use dfly_wire::packed::write_uint;

use super::pack::{canonical_int, lzf};
use super::style::Strings;

/// A writer of bytes in one style.
#[derive(Debug)]
pub(crate) struct Rdb {
    pub(crate) out: Vec<u8>,
    strings: Strings,
}

impl Rdb {
    pub(crate) fn new(strings: Strings) -> Self {
        Self { out: Vec::new(), strings }
    }

    /// An empty writer with the same style.
    pub(crate) fn fresh(&self) -> Self {
        Self::new(self.strings)
    }

    /// The bytes that `write` writes, in this writer's style.
    pub(crate) fn piece(&self, write: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut piece = self.fresh();
        write(&mut piece);
        piece.out
    }

    pub(crate) fn u8(&mut self, byte: u8) {
        self.out.push(byte);
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(crate) fn len(&mut self, value: usize) {
        self.uint(value as u64);
    }

    pub(crate) fn uint(&mut self, value: u64) {
        write_uint(value, &mut self.out);
    }

    /// Writes a string in the form that the style requires.
    pub(crate) fn string(&mut self, text: &[u8]) {
        if self.strings != Strings::Raw && self.integer(text) {
            return;
        }
        let packed = match self.strings {
            Strings::Raw | Strings::Integers => None,
            Strings::Lzf => {
                Some(lzf::compress(text)).filter(|packed| text.len() > 4 && packed.len() < text.len())
            }
            Strings::LzfLiteral => Some(lzf::literal(text)).filter(|_| !text.is_empty()),
        };
        match packed {
            None => self.plain(text),
            Some(packed) => {
                self.u8(0xc3);
                self.len(packed.len());
                self.len(text.len());
                self.raw(&packed);
            }
        }
    }

    /// Writes a string without compression or integer encoding.
    pub(crate) fn plain(&mut self, text: &[u8]) {
        self.len(text.len());
        self.raw(text);
    }

    fn integer(&mut self, text: &[u8]) -> bool {
        let Some(value) = canonical_int(text) else { return false };
        match (i8::try_from(value), i16::try_from(value), i32::try_from(value)) {
            (Ok(value), _, _) => self.raw(&[[0xc0], value.to_le_bytes()].concat()),
            (_, Ok(value), _) => self.raw(&[&[0xc1][..], &value.to_le_bytes()].concat()),
            (_, _, Ok(value)) => self.raw(&[&[0xc2][..], &value.to_le_bytes()].concat()),
            _ => return false,
        }
        true
    }
}
