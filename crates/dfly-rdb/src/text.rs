//! Byte strings of elements.

use std::fmt;

use bytes::{BufMut, Bytes};

/// A byte string in its stored form: borrowed, an integer in place of its decimal text, or decompressed.
#[derive(Clone)]
pub enum Text<'a> {
    /// Bytes of the payload.
    Raw(&'a [u8]),
    /// The decimal text of this number.
    Int(i64),
    /// Decompressed bytes.
    Owned(Bytes),
}

/// A buffer for the decimal text of a [`Text::Int`].
#[derive(Default)]
pub struct IntBuffer(itoa::Buffer);

impl IntBuffer {
    /// An empty buffer, on the stack.
    pub fn new() -> Self {
        Self(itoa::Buffer::new())
    }
}

impl fmt::Debug for IntBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntBuffer")
    }
}

impl<'a> Text<'a> {
    /// The bytes. An integer is written into `buffer` first.
    #[inline]
    pub fn as_bytes<'b>(&'b self, buffer: &'b mut IntBuffer) -> &'b [u8] {
        match self {
            Self::Raw(bytes) => bytes,
            Self::Int(value) => buffer.0.format(*value).as_bytes(),
            Self::Owned(bytes) => bytes,
        }
    }

    /// Appends the bytes to `out`.
    pub fn write_to(&self, out: &mut impl BufMut) {
        out.put_slice(self.as_bytes(&mut IntBuffer::new()));
    }

    /// The bytes as an owned value. They are copied unless they were decompressed.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Owned(bytes) => bytes,
            other => Bytes::copy_from_slice(other.as_bytes(&mut IntBuffer::new())),
        }
    }

    /// The bytes as a vector.
    pub fn to_vec(&self) -> Vec<u8> {
        self.as_bytes(&mut IntBuffer::new()).to_vec()
    }

    /// The number of bytes.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::Raw(bytes) => bytes.len(),
            Self::Int(value) => itoa::Buffer::new().format(*value).len(),
            Self::Owned(bytes) => bytes.len(),
        }
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Raw(bytes) => bytes.is_empty(),
            Self::Int(_) => false,
            Self::Owned(bytes) => bytes.is_empty(),
        }
    }

    /// The number, if the whole text is one.
    pub(crate) fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            other => std::str::from_utf8(other.as_bytes(&mut IntBuffer::new())).ok()?.parse().ok(),
        }
    }
}

impl PartialEq for Text<'_> {
    /// Compares the bytes, in whatever form they are stored.
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes(&mut IntBuffer::new()) == other.as_bytes(&mut IntBuffer::new())
    }
}

impl Eq for Text<'_> {}

impl PartialEq<[u8]> for Text<'_> {
    fn eq(&self, other: &[u8]) -> bool {
        self.as_bytes(&mut IntBuffer::new()) == other
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes(&mut IntBuffer::new()).escape_ascii())
    }
}
