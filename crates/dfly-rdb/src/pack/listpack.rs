//! Listpack (protocol section 7.7; Redis `listpack.c`).

use crate::error::ValueError;
use crate::pack::Body;
use crate::string::Str;
use crate::text::Text;

/// A listpack: a sequence of strings and integers.
#[derive(Debug, Clone)]
pub struct Listpack<'a>(Body<'a>);

/// The elements of a [`Listpack`], in order.
#[derive(Debug, Clone)]
pub struct ListpackIter<'a> {
    body: Body<'a>,
    at: usize,
    seen: usize,
    over: bool,
}

const NAME: &str = "listpack";
const HEADER: usize = 6;
/// The count in the header if there are more elements than it can hold.
const UNKNOWN_COUNT: u16 = u16::MAX;

impl<'a> Listpack<'a> {
    pub(crate) fn new(string: Str<'a>) -> Result<Self, ValueError> {
        Self::from_body(Body::of(string, NAME)?)
    }

    pub(crate) fn from_body(body: Body<'a>) -> Result<Self, ValueError> {
        let bytes = body.bytes();
        let Some((total, _)) = bytes.split_first_chunk::<4>() else { return fail(0, "no header") };
        if usize::try_from(u32::from_le_bytes(*total)) != Ok(bytes.len()) {
            return fail(0, "the stated size is not the size");
        }
        if bytes.len() <= HEADER || bytes.last() != Some(&0xff) {
            return fail(bytes.len(), "no end mark");
        }
        Ok(Self(body))
    }

    /// The number of elements that the header states; `None` if the elements have to be counted.
    pub fn stated_len(&self) -> Option<usize> {
        let count = stated(self.0.bytes())?;
        (count != UNKNOWN_COUNT).then_some(usize::from(count))
    }

    /// The elements.
    pub fn iter(&self) -> ListpackIter<'a> {
        ListpackIter { body: self.0.clone(), at: HEADER, seen: 0, over: false }
    }

    /// The bytes, header and end mark included.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl<'a> IntoIterator for Listpack<'a> {
    type Item = Result<Text<'a>, ValueError>;
    type IntoIter = ListpackIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        ListpackIter { body: self.0, at: HEADER, seen: 0, over: false }
    }
}

impl<'a> IntoIterator for &Listpack<'a> {
    type Item = Result<Text<'a>, ValueError>;
    type IntoIter = ListpackIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> Iterator for ListpackIter<'a> {
    type Item = Result<Text<'a>, ValueError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.short() {
            Some(text) => Some(Ok(text)),
            None => self.any(),
        }
    }
}

impl<'a> ListpackIter<'a> {
    /// The container, and the offset of the next element.
    pub(crate) fn place(&self) -> (&Body<'a>, usize) {
        (&self.body, self.at)
    }

    /// An iterator that starts at the element at `at`.
    pub(crate) fn at_place(body: Body<'a>, at: usize) -> Self {
        Self { body, at, seen: 0, over: false }
    }

    /// The next element, if it is valid and in one of the two most common forms: a string of up to 63 bytes or a number
    /// of 7 bits, each with a header and a backward length of one byte.
    #[inline]
    fn short(&mut self) -> Option<Text<'a>> {
        let Body::Borrowed(bytes) = self.body else { return None };
        let (&first, rest) = bytes.get(self.at..)?.split_first()?;
        let length = match first {
            0x80..=0xbf => usize::from(first & 0x3f),
            0..=0x7f => 0,
            0xc0.. => return None,
        };
        let (text, behind) = rest.split_at_checked(length)?;
        if usize::from(*behind.first()?) != length + 1 {
            return None;
        }
        self.at += length + 2;
        self.seen += 1;
        Some(if first < 0x80 { Text::Int(first.into()) } else { Text::Raw(text) })
    }

    fn any(&mut self) -> Option<Result<Text<'a>, ValueError>> {
        if self.over {
            return None;
        }
        let next = self.step();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }

    fn step(&mut self) -> Option<Result<Text<'a>, ValueError>> {
        let input = self.body.bytes().get(self.at..).unwrap_or_default();
        if input == [0xff] {
            return self.end();
        }
        let Some((element, size)) = element(input) else { return Some(fail(self.at, "a malformed element")) };
        let Some(back) = input.get(size..).and_then(|rest| back_length(rest, size)) else {
            return Some(fail(self.at, "an element's backward length is wrong"));
        };
        let text = match element {
            Element::Int(value) => Some(Text::Int(value)),
            Element::String { length } => self.body.text(self.at + size - length, length),
        };
        self.at += size + back;
        self.seen += 1;
        text.map(Ok)
    }

    fn end(&self) -> Option<Result<Text<'a>, ValueError>> {
        let stated = stated(self.body.bytes())?;
        let right = stated == UNKNOWN_COUNT || usize::from(stated) == self.seen;
        (!right).then(|| fail(self.at, "the stated count is not the count"))
    }
}

/// An element; a string is the last `length` bytes of its encoding.
enum Element {
    Int(i64),
    String { length: usize },
}

/// The element at the start of `input` and the size of its encoding without the backward length.
#[inline]
fn element(input: &[u8]) -> Option<(Element, usize)> {
    let (&first, rest) = input.split_first()?;
    let (element, size) = match first {
        0x00..=0x7f => (Element::Int(i64::from(first)), 1),
        0x80..=0xbf => string(usize::from(first & 0x3f), 1)?,
        0xc0..=0xdf => {
            let value = i64::from(first & 0x1f) << 8 | i64::from(*rest.first()?);
            (Element::Int(if value >= 4096 { value - 8192 } else { value }), 2)
        }
        0xe0..=0xef => string(usize::from(first & 0x0f) << 8 | usize::from(*rest.first()?), 2)?,
        0xf0 => string(usize::try_from(u32::from_le_bytes(*rest.first_chunk()?)).ok()?, 5)?,
        0xf1 => (Element::Int(i64::from(i16::from_le_bytes(*rest.first_chunk()?))), 3),
        0xf2 => (Element::Int(i24(*rest.first_chunk()?)), 4),
        0xf3 => (Element::Int(i64::from(i32::from_le_bytes(*rest.first_chunk()?))), 5),
        0xf4 => (Element::Int(i64::from_le_bytes(*rest.first_chunk()?)), 9),
        0xf5..=0xff => return None,
    };
    (size <= input.len()).then_some((element, size))
}

fn string(length: usize, header: usize) -> Option<(Element, usize)> {
    Some((Element::String { length }, header.checked_add(length)?))
}

/// A signed 24-bit little-endian number.
pub(crate) fn i24([low, middle, high]: [u8; 3]) -> i64 {
    i64::from(i32::from_le_bytes([0, low, middle, high]) >> 8)
}

/// The width of the backward length of an element of `size` bytes, in bytes, if it is correct.
#[inline]
fn back_length(input: &[u8], size: usize) -> Option<usize> {
    let first = *input.first()?;
    if size <= 127 {
        return (usize::from(first) == size).then_some(1);
    }
    let width = match size {
        ..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    };
    let groups = input.get(..width)?;
    let continued = groups.iter().skip(1).all(|byte| byte & 0x80 != 0);
    let value = groups.iter().fold(0_u64, |value, byte| value << 7 | u64::from(byte & 0x7f));
    (continued && first & 0x80 == 0 && value == size as u64).then_some(width)
}

fn stated(bytes: &[u8]) -> Option<u16> {
    bytes.get(4..)?.first_chunk().map(|raw| u16::from_le_bytes(*raw))
}

fn fail<T>(at: usize, problem: &'static str) -> Result<T, ValueError> {
    Err(ValueError::Container { container: NAME, at, problem })
}
