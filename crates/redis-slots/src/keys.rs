//! The keys among the arguments of a command, and its route.

use std::iter::StepBy;
use std::ops::Range;

use crate::slot::Slot;

/// Which node of a cluster accepts a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// It has no key: any node.
    Anywhere,
    /// The owner of this slot, which has all its keys.
    Slot(Slot),
    /// None: its keys are in several slots.
    CrossSlot,
}

/// The positions of the keys of a command, as in `COMMAND INFO`: first, last and step. The name is argument 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySpec {
    first: u8,
    /// Negative: counted from the end, -1 being the last argument.
    last: i8,
    /// 0: the argument `first` is the number of keys that follow it.
    step: u8,
}

impl KeySpec {
    /// The command has no key.
    pub const NONE: Self = Self::range(0, 0, 1);
    /// Argument 1.
    pub const FIRST: Self = Self::range(1, 1, 1);
    /// Arguments 1 and 2.
    pub const FIRST_TWO: Self = Self::range(1, 2, 1);
    /// Every argument.
    pub const ALL: Self = Self::range(1, -1, 1);

    /// Every `step`-th argument from `first` to `last`; `first` of 0 means no key.
    pub const fn range(first: u8, last: i8, step: u8) -> Self {
        Self { first, last, step }
    }

    /// Argument `at` is the number of keys that follow it.
    pub const fn counted(at: u8) -> Self {
        Self { first: at, last: 0, step: 0 }
    }

    /// The position of the first key; `None` if the command has no key.
    pub fn first(&self) -> Option<usize> {
        let behind_count = usize::from(self.step == 0);
        (self.first > 0).then_some(usize::from(self.first) + behind_count)
    }

    /// Whether a command may have more than one key.
    pub fn is_many(&self) -> bool {
        self.step == 0 || i16::from(self.last) != i16::from(self.first)
    }

    /// The distance from one key to the next, in arguments.
    pub fn step(&self) -> usize {
        usize::from(self.step.max(1))
    }

    /// The keys among `args`, of which the first is the name of the command.
    pub fn keys<'a, A: AsRef<[u8]>>(&self, args: &'a [A]) -> impl Iterator<Item = &'a [u8]> + use<'a, A> {
        let range = self.range_among(args.len(), |at| args.get(at).map(AsRef::as_ref));
        args.get(range).unwrap_or_default().iter().step_by(self.step()).map(AsRef::as_ref)
    }

    /// The positions of the keys among `args`.
    pub fn positions<A: AsRef<[u8]>>(&self, args: &[A]) -> impl Iterator<Item = usize> + use<A> {
        self.positions_among(args.len(), |at| args.get(at).map(AsRef::as_ref))
    }

    /// Where the keys are among `len` arguments, of which `argument` gives any; it is called for at most one.
    pub fn positions_among<'a>(
        &self,
        len: usize,
        argument: impl FnOnce(usize) -> Option<&'a [u8]>,
    ) -> StepBy<Range<usize>> {
        self.range_among(len, argument).step_by(self.step())
    }

    /// From the first key to one behind the last.
    fn range_among<'a>(&self, len: usize, argument: impl FnOnce(usize) -> Option<&'a [u8]>) -> Range<usize> {
        let first = usize::from(self.first);
        let (start, end) = match self.step {
            0 => (first + 1, counted_end(first, argument(first)).min(len)),
            _ => (first, self.end(len)),
        };
        start.min(end)..end
    }

    /// The route of the command `args`, of which the first is its name.
    #[inline]
    pub fn route<A: AsRef<[u8]>>(&self, args: &[A]) -> Route {
        let mut slots = self.keys(args).map(Slot::of);
        match slots.next() {
            None => Route::Anywhere,
            Some(first) if slots.all(|slot| slot == first) => Route::Slot(first),
            Some(_) => Route::CrossSlot,
        }
    }

    /// The position after the last key.
    fn end(&self, len: usize) -> usize {
        let end = match usize::try_from(self.last) {
            Ok(last) => last + 1,
            Err(_negative) => (len + 1).saturating_sub(usize::from(self.last.unsigned_abs())),
        };
        if self.first == 0 { 0 } else { end.min(len) }
    }
}

/// One behind the last key, if argument `at` says that `count` keys follow it.
fn counted_end(at: usize, count: Option<&[u8]>) -> usize {
    let count = count.and_then(|count| std::str::from_utf8(count).ok()?.parse().ok());
    (at + 1).saturating_add(count.unwrap_or(0usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(spec: KeySpec, line: &str) -> Vec<String> {
        let args: Vec<&str> = line.split(' ').collect();
        spec.keys(&args).map(|key| String::from_utf8_lossy(key).into_owned()).collect()
    }

    /// P8: the first argument is not always the key.
    #[test]
    fn positions() {
        assert_eq!(keys(KeySpec::range(2, 2, 1), "XGROUP CREATE s g 0"), ["s"]);
        assert_eq!(keys(KeySpec::ALL, "DEL a b c"), ["a", "b", "c"]);
        assert_eq!(keys(KeySpec::range(1, -1, 3), "JSON.MSET a $ 1 b $ 2"), ["a", "b"]);
        assert_eq!(keys(KeySpec::range(1, -2, 1), "BLPOP a b 0"), ["a", "b"]);
        assert_eq!(keys(KeySpec::FIRST_TWO, "RENAME a"), ["a"]);
        assert_eq!(keys(KeySpec::FIRST, "PING"), [""; 0]);
        assert_eq!(keys(KeySpec::NONE, "FLUSHALL SYNC"), [""; 0]);
        assert_eq!(keys(KeySpec::counted(1), "LMPOP 2 a b LEFT"), ["a", "b"]);
        for count in ["LMPOP 9 a", "LMPOP x a", "LMPOP", "LMPOP 99999999999999999999 a"] {
            assert!(keys(KeySpec::counted(1), count).len() <= 1, "{count}");
        }
        let positions: Vec<usize> =
            KeySpec::range(1, -1, 2).positions(&["MSET", "a", "1", "b", "2"]).collect();
        assert_eq!(positions, [1, 3]);
        assert_eq!(KeySpec::counted(1).positions(&["ZMPOP", "1", "k", "MIN"]).collect::<Vec<_>>(), [2]);
        assert!(KeySpec::ALL.is_many() && KeySpec::counted(1).is_many() && !KeySpec::FIRST.is_many());
    }

    /// P7: a command with keys of several slots must not be routed by its first key.
    #[test]
    fn routes() {
        let route = |spec: KeySpec, line: &str| spec.route(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(route(KeySpec::FIRST, "SET foo 1"), Route::Slot(Slot(12182)));
        assert_eq!(route(KeySpec::ALL, "DEL foo {foo}a {foo}b"), Route::Slot(Slot(12182)));
        assert_eq!(route(KeySpec::ALL, "DEL foo {foo}a b"), Route::CrossSlot);
        assert_eq!(route(KeySpec::range(1, -1, 2), "MSET foo b {foo} c"), Route::Slot(Slot(12182)));
        assert_eq!(route(KeySpec::NONE, "FLUSHALL"), Route::Anywhere);
        assert_eq!(route(KeySpec::FIRST, "GET"), Route::Anywhere);
    }
}
