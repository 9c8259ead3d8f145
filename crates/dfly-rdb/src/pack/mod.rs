//! Containers that are stored in one string (protocol section 7.7). They are complete when they are read. Their iterators
//! verify lengths and counts, and end after the first error.

use bytes::Bytes;

use crate::error::ValueError;
use crate::string::Str;
use crate::text::Text;

pub(crate) mod intset;
pub(crate) mod listpack;
pub(crate) mod lzf;
pub(crate) mod ziplist;
pub(crate) mod zipmap;

/// The bytes of a container: part of a payload, or decompressed from it.
#[derive(Debug, Clone)]
pub(crate) enum Body<'a> {
    Borrowed(&'a [u8]),
    Shared(Bytes),
}

impl<'a> Body<'a> {
    /// The bytes of a container that is stored as `string`. Containers are never stored as numbers.
    pub(crate) fn of(string: Str<'a>, container: &'static str) -> Result<Self, ValueError> {
        match string.text()? {
            Text::Raw(raw) => Ok(Self::Borrowed(raw)),
            Text::Owned(bytes) => Ok(Self::Shared(bytes)),
            Text::Int(_) => {
                Err(ValueError::Container { container, at: 0, problem: "a number stands in its place" })
            }
        }
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(raw) => raw,
            Self::Shared(bytes) => bytes,
        }
    }

    /// `length` bytes from `from` on, without a copy; `None` if they are out of range.
    #[inline]
    pub(crate) fn text(&self, from: usize, length: usize) -> Option<Text<'a>> {
        let to = from.checked_add(length)?;
        match self {
            Self::Borrowed(raw) => raw.get(from..to).map(Text::Raw),
            Self::Shared(bytes) if to <= bytes.len() => Some(Text::Owned(bytes.slice(from..to))),
            Self::Shared(_) => None,
        }
    }
}
