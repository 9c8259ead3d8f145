//! Zipmap, the small hash of Redis before 2.6 (protocol section 7.7; Redis `zipmap.c`).

use crate::error::ValueError;
use crate::pack::Body;
use crate::string::Str;
use crate::text::Text;

/// A zipmap: alternating fields and values.
#[derive(Debug, Clone)]
pub struct Zipmap<'a>(Body<'a>);

/// Alternating fields and values of a [`Zipmap`].
#[derive(Debug, Clone)]
pub struct ZipmapIter<'a> {
    body: Body<'a>,
    at: usize,
    seen: usize,
    over: bool,
}

const NAME: &str = "zipmap";
/// From this count on, the fields have to be counted.
const UNKNOWN_COUNT: u8 = 254;
const END: u8 = 0xff;

impl<'a> Zipmap<'a> {
    pub(crate) fn new(string: Str<'a>) -> Result<Self, ValueError> {
        let body = Body::of(string, NAME)?;
        if body.bytes().len() < 2 || body.bytes().last() != Some(&END) {
            return fail(body.bytes().len(), "no end mark");
        }
        Ok(Self(body))
    }

    /// Alternating fields and values.
    pub fn iter(&self) -> ZipmapIter<'a> {
        ZipmapIter { body: self.0.clone(), at: 1, seen: 0, over: false }
    }
}

impl<'a> IntoIterator for &Zipmap<'a> {
    type Item = Result<Text<'a>, ValueError>;
    type IntoIter = ZipmapIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> Iterator for ZipmapIter<'a> {
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

impl<'a> ZipmapIter<'a> {
    fn step(&mut self) -> Option<Result<Text<'a>, ValueError>> {
        let is_value = self.seen % 2 == 1;
        let input = self.body.bytes().get(self.at..).unwrap_or_default();
        if input == [END] && !is_value {
            return self.end();
        }
        let Some((text, next)) = length(input).and_then(|(length, width)| self.cut(length, width, is_value))
        else {
            return Some(fail(self.at, "a malformed field or value"));
        };
        self.at = next;
        self.seen += 1;
        Some(Ok(text))
    }

    /// The text after a length field of `width` bytes, and the offset of the next one. A value has another byte: the number of
    /// unused bytes after it.
    fn cut(&self, length: usize, width: usize, is_value: bool) -> Option<(Text<'a>, usize)> {
        let unused = if is_value { usize::from(*self.body.bytes().get(self.at + width)?) } else { 0 };
        let from = self.at + width + usize::from(is_value);
        let text = self.body.text(from, length)?;
        let next = from + length + unused;
        (next < self.body.bytes().len()).then_some((text, next))
    }

    fn end(&self) -> Option<Result<Text<'a>, ValueError>> {
        let stated = *self.body.bytes().first()?;
        let right = stated >= UNKNOWN_COUNT || usize::from(stated) == self.seen / 2;
        (!right).then(|| fail(self.at, "the stated count is not the count"))
    }
}

/// A length and the width of its field.
fn length(input: &[u8]) -> Option<(usize, usize)> {
    match input.split_first()? {
        (254, rest) => Some((usize::try_from(u32::from_le_bytes(*rest.first_chunk()?)).ok()?, 5)),
        (&END, _) => None,
        (&short, _) => Some((usize::from(short), 1)),
    }
}

fn fail<T>(at: usize, problem: &'static str) -> Result<T, ValueError> {
    Err(ValueError::Container { container: NAME, at, problem })
}
