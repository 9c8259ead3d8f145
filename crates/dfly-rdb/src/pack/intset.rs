//! Intset (protocol section 7.7; Redis `intset.c`).

use crate::error::ValueError;
use crate::pack::Body;
use crate::string::Str;

/// A set of integers of one width.
#[derive(Debug, Clone)]
pub struct Intset<'a> {
    body: Body<'a>,
    width: usize,
}

/// The members of an [`Intset`], ascending.
#[derive(Debug, Clone)]
pub struct IntsetIter<'a> {
    set: Intset<'a>,
    at: usize,
}

const NAME: &str = "intset";
const HEADER: usize = 8;

impl<'a> Intset<'a> {
    pub(crate) fn new(string: Str<'a>) -> Result<Self, ValueError> {
        let body = Body::of(string, NAME)?;
        let Some((width, rest)) = body.bytes().split_first_chunk::<4>() else { return fail(0, "no header") };
        let Some((count, members)) = rest.split_first_chunk::<4>() else { return fail(4, "no header") };
        let width = match u32::from_le_bytes(*width) {
            2 => 2,
            4 => 4,
            8 => 8,
            _ => return fail(0, "an integer width other than 2, 4 and 8"),
        };
        if u64::from(u32::from_le_bytes(*count)) * width as u64 != members.len() as u64 {
            return fail(4, "the stated count is not the count");
        }
        Ok(Self { body, width })
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        (self.body.bytes().len() - HEADER) / self.width
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The members.
    pub fn iter(&self) -> IntsetIter<'a> {
        IntsetIter { set: self.clone(), at: HEADER }
    }
}

impl<'a> IntoIterator for &Intset<'a> {
    type Item = i64;
    type IntoIter = IntsetIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Iterator for IntsetIter<'_> {
    type Item = i64;

    #[inline]
    fn next(&mut self) -> Option<i64> {
        let rest = self.set.body.bytes().get(self.at..)?;
        let value = match self.set.width {
            2 => i64::from(i16::from_le_bytes(*rest.first_chunk()?)),
            4 => i64::from(i32::from_le_bytes(*rest.first_chunk()?)),
            _ => i64::from_le_bytes(*rest.first_chunk()?),
        };
        self.at += self.set.width;
        Some(value)
    }
}

fn fail<T>(at: usize, problem: &'static str) -> Result<T, ValueError> {
    Err(ValueError::Container { container: NAME, at, problem })
}
