//! Ziplist (protocol section 7.7; Redis `ziplist.c`).

use crate::error::ValueError;
use crate::pack::Body;
use crate::pack::listpack::i24;
use crate::string::Str;
use crate::text::Text;

/// A ziplist: a sequence of strings and integers, each with the size of the previous one.
#[derive(Debug, Clone)]
pub struct Ziplist<'a>(Body<'a>);

/// The elements of a [`Ziplist`], in order.
#[derive(Debug, Clone)]
pub struct ZiplistIter<'a> {
    body: Body<'a>,
    at: usize,
    previous: usize,
    seen: usize,
    over: bool,
}

const NAME: &str = "ziplist";
const HEADER: usize = 10;
/// The count in the header if there are more elements than it can hold.
const UNKNOWN_COUNT: u16 = u16::MAX;

impl<'a> Ziplist<'a> {
    pub(crate) fn new(string: Str<'a>) -> Result<Self, ValueError> {
        let body = Body::of(string, NAME)?;
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
    pub fn iter(&self) -> ZiplistIter<'a> {
        ZiplistIter { body: self.0.clone(), at: HEADER, previous: 0, seen: 0, over: false }
    }

    /// The bytes, header and end mark included.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl<'a> IntoIterator for &Ziplist<'a> {
    type Item = Result<Text<'a>, ValueError>;
    type IntoIter = ZiplistIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> Iterator for ZiplistIter<'a> {
    type Item = Result<Text<'a>, ValueError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.step();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}

impl<'a> ZiplistIter<'a> {
    fn step(&mut self) -> Option<Result<Text<'a>, ValueError>> {
        let input = self.body.bytes().get(self.at..).unwrap_or_default();
        if input == [0xff] {
            return self.end();
        }
        let Some((previous, back)) = previous_size(input) else {
            return Some(fail(self.at, "a malformed element"));
        };
        if previous != self.previous {
            return Some(fail(self.at, "an element's backward length is wrong"));
        }
        let Some((element, size)) = input.get(back..).and_then(element) else {
            return Some(fail(self.at, "a malformed element"));
        };
        let text = match element {
            Element::Int(value) => Some(Text::Int(value)),
            Element::String { length } => self.body.text(self.at + back + size - length, length),
        };
        self.previous = back + size;
        self.at += self.previous;
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

/// The size of the previous element and the width of this field.
fn previous_size(input: &[u8]) -> Option<(usize, usize)> {
    match input.split_first()? {
        (0xfe, rest) => Some((usize::try_from(u32::from_le_bytes(*rest.first_chunk()?)).ok()?, 5)),
        (0xff, _) => None,
        (&short, _) => Some((usize::from(short), 1)),
    }
}

fn element(input: &[u8]) -> Option<(Element, usize)> {
    let (&first, rest) = input.split_first()?;
    let (element, size) = match first {
        0x00..=0x3f => string(usize::from(first), 1)?,
        0x40..=0x7f => string(usize::from(first & 0x3f) << 8 | usize::from(*rest.first()?), 2)?,
        0x80 => string(usize::try_from(u32::from_be_bytes(*rest.first_chunk()?)).ok()?, 5)?,
        0xc0 => (Element::Int(i64::from(i16::from_le_bytes(*rest.first_chunk()?))), 3),
        0xd0 => (Element::Int(i64::from(i32::from_le_bytes(*rest.first_chunk()?))), 5),
        0xe0 => (Element::Int(i64::from_le_bytes(*rest.first_chunk()?)), 9),
        0xf0 => (Element::Int(i24(*rest.first_chunk()?)), 4),
        0xfe => (Element::Int(i64::from(i8::from_le_bytes(*rest.first_chunk()?))), 2),
        0xf1..=0xfd => (Element::Int(i64::from(first & 0x0f) - 1), 1),
        _ => return None,
    };
    (size <= input.len()).then_some((element, size))
}

fn string(length: usize, header: usize) -> Option<(Element, usize)> {
    Some((Element::String { length }, header.checked_add(length)?))
}

fn stated(bytes: &[u8]) -> Option<u16> {
    bytes.get(8..)?.first_chunk().map(|raw| u16::from_le_bytes(*raw))
}

fn fail<T>(at: usize, problem: &'static str) -> Result<T, ValueError> {
    Err(ValueError::Container { container: NAME, at, problem })
}
