//! Sequences of commands, and the least part of one that still does what the whole did.

use std::fmt;

/// How each call of a script begins.
pub(super) const CALL: &str = "redis.pcall(";

/// How a script begins that uses keys which it does not declare.
pub(super) const UNDECLARED: &str = "--!df flags=allow-undeclared-keys\n";

/// The first word of a line for the memcached port, where `\\r\\n` stands for the end of a line.
pub(super) const MEMCACHED: &str = "mc:";

/// A command: its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line(pub Vec<String>);

/// What cannot be taken apart: a command, or a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit(pub Vec<Line>);

/// Commands on keys of its own, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Sequence(pub Vec<Unit>);

impl Line {
    /// The request for the memcached port, if it is one.
    pub(super) fn memcached(&self) -> Option<Vec<u8>> {
        let (first, words) = self.0.split_first()?;
        (first == MEMCACHED).then(|| words.join(" ").replace(r"\r\n", "\r\n").into_bytes())
    }
}

/// How the text of a script begins, and its calls.
fn calls(text: &str) -> Option<(&'static str, &str)> {
    let (head, text) = match text.strip_prefix(UNDECLARED) {
        Some(rest) => (UNDECLARED, rest),
        None => ("", text),
    };
    text.starts_with(CALL).then_some((head, text))
}

impl Sequence {
    pub(super) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.0.iter().flat_map(|unit| &unit.0)
    }

    /// The least part that `differs` still holds for, as far as taking units away, then commands of transactions and scripts, and
    /// then the transactions around them, leads.
    pub(super) fn shrunk(self, mut differs: impl FnMut(&Self) -> bool) -> Self {
        let units = least(self.0, &mut |units: &[Unit]| differs(&Self(units.to_vec())));
        let mut all = Self(units);
        for nth in (0..all.0.len()).rev() {
            let Some(inner) = all.0[nth].inner() else { continue };
            let inner =
                least(inner, &mut |inner: &[Line]| differs(&all.with(nth, vec![all.0[nth].around(inner)])));
            let plain = all.with(nth, inner.iter().map(|line| Unit(vec![line.clone()])).collect());
            let wrapped = all.with(nth, vec![all.0[nth].around(&inner)]);
            let unwraps = all.0[nth].0.len() > 1 && differs(&plain);
            all = if unwraps { plain } else { wrapped };
        }
        all
    }

    /// The same with other units in the place of one.
    fn with(&self, nth: usize, units: Vec<Unit>) -> Self {
        let mut all = self.clone();
        all.0.splice(nth..=nth, units);
        all
    }
}

impl Unit {
    /// The commands of a transaction, or the calls of a script, each as one word.
    fn inner(&self) -> Option<Vec<Line>> {
        match self.0.as_slice() {
            [first, inner @ .., _] if first.0 == ["MULTI"] => Some(inner.to_vec()),
            [script] if script.0[0] == "EVAL" => {
                let calls = calls(&script.0[1])?.1.split(CALL).skip(1);
                Some(calls.map(|call| Line(vec![format!("{CALL}{}", call.trim_end())])).collect())
            }
            _ => None,
        }
    }

    /// The transaction or script with other commands.
    fn around(&self, inner: &[Line]) -> Self {
        match self.0.as_slice() {
            [script] => {
                let calls: Vec<String> = inner.iter().flat_map(|line| line.0.clone()).collect();
                let mut words = script.0.clone();
                let head = self::calls(&words[1]).map_or("", |(head, _)| head);
                words[1] = format!("{head}{}", calls.join(" "));
                Self(vec![Line(words)])
            }
            lines => Self([&lines[..1], inner, &lines[lines.len() - 1..]].concat()),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(words: &[&str]) -> Unit {
        let line = |word: &&str| Line(vec![(*word).to_owned()]);
        Unit(words.iter().map(line).collect())
    }

    fn names(sequence: &Sequence) -> Vec<String> {
        sequence.lines().map(Line::to_string).collect()
    }

    #[test]
    fn scripts_are_left_with_the_calls_that_it_takes() {
        let eval = |text: &str| {
            let words = ["EVAL", text, "1", "k"].map(str::to_owned);
            Unit(vec![Line(words.to_vec())])
        };
        let all = Sequence(vec![eval("redis.pcall('a','k') redis.pcall('b','k') redis.pcall('c','k')")]);
        let differs = |tried: &Sequence| tried.lines().any(|line| line.0[1].contains("'b'"));
        assert_eq!(all.shrunk(differs), Sequence(vec![eval("redis.pcall('b','k')")]));
        let all = Sequence(vec![eval(&format!("{UNDECLARED}redis.pcall('a','k') redis.pcall('b','k')"))]);
        assert_eq!(all.shrunk(differs), Sequence(vec![eval(&format!("{UNDECLARED}redis.pcall('b','k')"))]));
    }

    #[test]
    fn memcached_lines() {
        let line = |words: &[&str]| Line(words.iter().map(|word| (*word).to_owned()).collect());
        let set = line(&["mc:", "set", "k", "0", "0", r"1\r\nx"]);
        assert_eq!(set.memcached(), Some(b"set k 0 0 1\r\nx".to_vec()));
        assert_eq!(line(&["SET", "k", "mc:"]).memcached(), None);
    }

    #[test]
    fn what_is_left_is_what_it_takes() {
        for needs_transaction in [false, true] {
            let mut units: Vec<Unit> = (0..50).map(|nth| unit(&[&nth.to_string()])).collect();
            units.insert(30, unit(&["MULTI", "x", "needed", "y", "EXEC"]));
            units.insert(35, unit(&["MULTI", "z", "EXEC"]));
            let differs = |tried: &Sequence| {
                let names = names(tried);
                let at = |wanted: &str| names.iter().position(|name| name == wanted);
                at("7").zip(at("needed")).is_some_and(|(one, other)| one < other)
                    && at("43").is_some()
                    && (at("MULTI").is_some() || !needs_transaction)
            };
            let left = names(&Sequence(units).shrunk(differs));
            let wanted: &[&str] = if needs_transaction {
                &["7", "MULTI", "needed", "EXEC", "43"]
            } else {
                &["7", "needed", "43"]
            };
            assert_eq!(left, wanted);
        }
    }
}
