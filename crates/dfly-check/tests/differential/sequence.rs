//! Sequences of commands, and the least part of one that still does what the whole did.

use std::fmt;

/// A command: its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line(pub Vec<String>);

/// What cannot be taken apart: a command, or a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit(pub Vec<Line>);

/// Commands on keys of its own, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Sequence(pub Vec<Unit>);

impl Sequence {
    pub(super) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.0.iter().flat_map(|unit| &unit.0)
    }

    /// The least part that `differs` still holds for, as far as taking units away, and then commands of a transaction, leads.
    pub(super) fn shrunk(self, mut differs: impl FnMut(&Self) -> bool) -> Self {
        let units = least(self.0, &mut |units: &[Unit]| differs(&Self(units.to_vec())));
        let mut all = Self(units);
        for nth in 0..all.0.len() {
            let lines = all.0[nth].0.clone();
            if let [first, inner @ .., last] = lines.as_slice()
                && first.0 == ["MULTI"]
            {
                let wrapped = |inner: &[Line]| {
                    Unit([std::slice::from_ref(first), inner, std::slice::from_ref(last)].concat())
                };
                let inner = least(inner.to_vec(), &mut |inner: &[Line]| {
                    let mut tried = all.clone();
                    tried.0[nth] = wrapped(inner);
                    differs(&tried)
                });
                all.0[nth] = wrapped(&inner);
            }
        }
        all
    }
}

/// Takes away halves, then quarters, and so on, down to single ones, until no one can go.
fn least<T: Clone>(mut all: Vec<T>, holds: &mut impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut size = all.len().div_ceil(2);
    while size > 0 && !all.is_empty() {
        let (mut at, mut has_shrunk) = (0, false);
        while at < all.len() {
            let without = [&all[..at], &all[(at + size).min(all.len())..]].concat();
            if holds(&without) {
                (all, has_shrunk) = (without, true);
            } else {
                at += size;
            }
        }
        match size {
            1 if !has_shrunk => break,
            1 => {}
            _ => size = size.div_ceil(2),
        }
    }
    all
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |word: &String| match word {
            long if long.len() > 200 => format!("{}..({} bytes)", &long[..20], long.len()),
            spaced if spaced.is_empty() || spaced.contains(' ') => format!("\"{spaced}\""),
            plain => plain.clone(),
        };
        let words: Vec<String> = self.0.iter().take(40).map(shown).collect();
        let more = if self.0.len() > 40 { format!(" .. ({} words)", self.0.len()) } else { String::new() };
        write!(f, "{}{more}", words.join(" "))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.lines().map(Line::to_string).collect();
        f.write_str(&lines.join(" ; "))
    }
}

#[test]
fn what_is_left_is_what_it_takes() {
    let unit = |words: &[&str]| {
        let line = |word: &&str| Line(vec![(*word).to_owned()]);
        Unit(words.iter().map(line).collect())
    };
    let names = |sequence: &Sequence| -> Vec<String> { sequence.lines().map(Line::to_string).collect() };
    let mut units: Vec<Unit> = (0..50).map(|nth| unit(&[&nth.to_string()])).collect();
    units.insert(30, unit(&["MULTI", "x", "needed", "y", "EXEC"]));
    let differs = |tried: &Sequence| {
        let names = names(tried);
        let at = |wanted: &str| names.iter().position(|name| name == wanted);
        at("7").zip(at("needed")).is_some_and(|(one, other)| one < other) && at("43").is_some()
    };
    let left = Sequence(units).shrunk(differs);
    assert_eq!(names(&left), ["7", "MULTI", "needed", "EXEC", "43"]);
}
