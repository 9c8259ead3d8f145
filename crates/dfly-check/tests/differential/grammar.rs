//! Commands and states from their lists, on keys of a sequence's own.

use super::chance::Chance;
use super::sequence::{CALL, Line, MEMCACHED, Sequence, UNDECLARED, Unit};

/// A command with places to be filled, and how often it is taken.
#[derive(Debug)]
pub(super) struct Form {
    weight: usize,
    /// What it works on, as the list has it.
    section: &'static str,
    pub words: Vec<&'static str>,
}

impl Form {
    /// Whether it can reach the source so: the memcached port knows no transactions and scripts.
    pub(super) fn is_sent(&self, way: Way) -> bool {
        way == Way::Plain || self.words[0] != MEMCACHED
    }
}

/// What a key may be.
#[derive(Debug)]
pub(super) struct State {
    /// Of the command that makes it.
    section: Option<&'static str>,
    lines: Vec<Vec<&'static str>>,
}

/// Everything that is tried.
#[derive(Debug)]
pub(super) struct Grammar {
    pub forms: Vec<Form>,
    pub states: Vec<State>,
    /// What forms work on, without what works on any key.
    sections: Vec<&'static str>,
    /// Whether the target has one database, so that nothing moves to another.
    has_one_database: bool,
}

/// How a command reaches the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Plain,
    Transaction,
    Script,
    /// In a script that does not declare its keys.
    Undeclared,
}

pub(super) const WAYS: [Way; 4] = [Way::Plain, Way::Transaction, Way::Script, Way::Undeclared];

/// How many keys a sequence has.
const KEYS: usize = 4;

/// The section of the commands that work on any key.
const ANY_KEY: &str = "keys";

/// The commands of the list. A comment behind an empty line begins a section.
fn forms(text: &'static str) -> Vec<Form> {
    let (mut forms, mut section, mut is_behind_empty) = (Vec::new(), "", false);
    for line in text.lines() {
        match line.strip_prefix("# ") {
            Some(name) if is_behind_empty => section = name,
            _ if line.is_empty() || line.starts_with('#') => {}
            _ => {
                let (weight, words) = line.split_once(' ').unwrap();
                let words = words.split(' ').collect();
                forms.push(Form { weight: weight.parse().unwrap(), section, words });
            }
        }
        is_behind_empty = line.is_empty();
    }
    forms
}

impl Grammar {
    pub(super) fn new(has_one_database: bool) -> Self {
        let lines =
            |text: &'static str| text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut forms = forms(include_str!("commands.txt"));
        let state = |line: &'static str| {
            let (_name, rest) = line.split_once(' ').unwrap_or((line, ""));
            let lines = rest.split(" ; ").map(|line| line.split_whitespace().collect());
            let lines: Vec<Vec<&str>> = lines.filter(|words: &Vec<&str>| !words.is_empty()).collect();
            let made_by = |form: &&Form| lines.first().is_some_and(|line| line[0] == form.words[0]);
            State { section: forms.iter().find(made_by).map(|form| form.section), lines }
        };
        let states = lines(include_str!("states.txt")).map(state).collect();
        forms.retain(|form| !has_one_database || form.words[0] != "MOVE");
        let mut sections: Vec<&str> = forms.iter().map(|form| form.section).collect();
        sections.dedup();
        sections.retain(|section| *section != ANY_KEY);
        Self { forms, states, sections, has_one_database }
    }

    /// A random sequence, the same for the same seed. Two of three are about one type, few keys and few names, so that their
    /// commands meet.
    pub(super) fn random(&self, seed: u64) -> Sequence {
        let mut chance = Chance::new(seed);
        let (mut section, mut keys, mut least) = (None, KEYS, 3);
        if !chance.once_in(3) {
            (section, keys, least) = (Some(chance.of(&self.sections)), 2, 10);
        }
        let mut names = Names { tag: seed, chance: &mut chance, focus: None, section, keys };
        let length = least + names.chance.below(14);
        let mut units = Vec::new();
        if !self.has_one_database && names.chance.once_in(3) {
            units.push(Unit(vec![names.fill(&["SELECT", "{d}"])]));
        }
        while units.len() < length {
            match names.chance.below(12) {
                0 => {
                    let fits = |state: &&State| section.is_none() || state.section == section;
                    let states: Vec<&State> = self.states.iter().filter(fits).collect();
                    let state = states[names.chance.below(states.len())];
                    units.extend(self.enter(state, &mut names));
                }
                1 => units.push(self.transaction(&mut names)),
                2 => units.push(self.script(&mut names)),
                3 if !self.has_one_database && names.chance.once_in(3) => {
                    units.push(Unit(vec![names.fill(&["SELECT", "{d}"])]));
                }
                _ => units.push(Unit(vec![self.command(&mut names)])),
            }
        }
        Sequence(units)
    }

    /// One command on a key in one state.
    pub(super) fn one(&self, form: &Form, state: &State, way: Way, tag: u64) -> Sequence {
        let mut chance = Chance::new(tag);
        let mut names = Names { tag, chance: &mut chance, focus: Some(0), section: None, keys: KEYS };
        let mut units = self.enter(state, &mut names);
        let line = names.fill(&form.words);
        units.push(match way {
            Way::Plain => Unit(vec![line]),
            Way::Transaction => in_transaction(vec![line]),
            Way::Script => in_script(&[line], tag, true),
            Way::Undeclared => in_script(&[line], tag, false),
        });
        Sequence(units)
    }

    fn enter(&self, state: &State, names: &mut Names<'_>) -> Vec<Unit> {
        let focus = names.focus.or(Some(1));
        let mut focused = Names { chance: &mut *names.chance, focus, ..*names };
        let lines = state.lines.iter().filter(|line| !self.has_one_database || line[0] != "MOVE");
        lines.map(|line| Unit(vec![focused.fill(line)])).collect()
    }

    fn command(&self, names: &mut Names<'_>) -> Line {
        let section = names.section.map(|section| if names.chance.once_in(6) { ANY_KEY } else { section });
        let is_taken = |form: &&Form| section.is_none_or(|section| form.section == section);
        let taken = || self.forms.iter().filter(is_taken);
        let mut left = names.chance.below(taken().map(|form| form.weight).sum());
        let form = taken().find(|form| {
            let is_it = left < form.weight;
            left = left.saturating_sub(form.weight);
            is_it
        });
        names.fill(&form.unwrap().words)
    }

    fn transaction(&self, names: &mut Names<'_>) -> Unit {
        let count = 1 + names.chance.below(3);
        in_transaction((0..count).map(|_| self.unblocking(names)).collect())
    }

    fn script(&self, names: &mut Names<'_>) -> Unit {
        let count = 1 + names.chance.below(3);
        let lines: Vec<Line> = (0..count).map(|_| self.unblocking(names)).collect();
        let is_declared = !names.chance.once_in(3);
        in_script(&lines, names.tag, is_declared)
    }

    fn unblocking(&self, names: &mut Names<'_>) -> Line {
        loop {
            let line = self.command(names);
            let waits = line.0[0].starts_with('B') && !line.0[0].starts_with("BIT");
            if !waits && line.memcached().is_none() {
                return line;
            }
        }
    }
}

/// A sequence as it is written: `{k}` is one of its keys, and `{j}` another.
pub(super) fn written(text: &'static str, tag: u64) -> Sequence {
    let mut chance = Chance::new(0);
    let mut names = Names { tag, chance: &mut chance, focus: Some(0), section: None, keys: KEYS };
    let words = |line: &'static str| line.split(' ').collect::<Vec<_>>();
    Sequence(
        text.split(" ; ")
            .map(|line| Unit(vec![names.fill_with(&words(line), Keys { first: 0, other: 1 })]))
            .collect(),
    )
}

fn in_transaction(lines: Vec<Line>) -> Unit {
    let word = |word: &str| Line(vec![word.to_owned()]);
    Unit([vec![word("MULTI")], lines, vec![word("EXEC")]].concat())
}

/// A script that runs the lines, whatever becomes of each.
fn in_script(lines: &[Line], tag: u64, is_declared: bool) -> Unit {
    let quoted = |word: &String| format!("'{word}'");
    let call = |line: &Line| format!("{CALL}{})", line.0.iter().map(quoted).collect::<Vec<_>>().join(","));
    let text = lines.iter().map(call).collect::<Vec<_>>().join(" ");
    if !is_declared {
        let words = ["EVAL".to_owned(), format!("{UNDECLARED}{text}"), "0".to_owned()];
        return Unit(vec![Line(words.to_vec())]);
    }
    let keys: Vec<String> = (0..KEYS).map(|nth| key(nth, tag)).collect();
    let used: Vec<String> = keys.into_iter().filter(|key| text.contains(key.as_str())).collect();
    let head = vec!["EVAL".to_owned(), text, used.len().to_string()];
    Unit(vec![Line([head, used].concat())])
}

/// The name of a key: all of a sequence lie in one slot of a cluster.
fn key(nth: usize, tag: u64) -> String {
    format!("{}{{{tag}}}", ["a", "b", "c", "d"][nth])
}

/// The keys that a command works on, by their places among those of its sequence.
#[derive(Debug, Clone, Copy)]
struct Keys {
    first: usize,
    other: usize,
}

/// What fills the places of a form.
struct Names<'a> {
    tag: u64,
    chance: &'a mut Chance,
    /// The key that `{k}` always is.
    focus: Option<usize>,
    /// What commands are about, beside those on any key.
    section: Option<&'static str>,
    /// How many keys there are.
    keys: usize,
}

impl Names<'_> {
    fn fill(&mut self, words: &[&str]) -> Line {
        let first = self.focus.unwrap_or_else(|| self.chance.below(self.keys));
        let other = if self.chance.once_in(6) {
            first
        } else {
            (first + 1 + self.chance.below(self.keys - 1)) % self.keys
        };
        self.fill_with(words, Keys { first, other })
    }

    fn fill_with(&mut self, words: &[&str], keys: Keys) -> Line {
        let mut filled = Vec::new();
        for word in words {
            match word.split_once("..") {
                Some((stem, count)) if count.parse::<usize>().is_ok() => {
                    filled.extend(series(stem, count.parse().unwrap()));
                }
                _ => filled.push(self.word(word, keys)),
            }
        }
        Line(filled)
    }

    fn word(&mut self, word: &str, keys: Keys) -> String {
        let (mut out, mut rest) = (String::new(), word);
        while let Some((head, (place, tail))) =
            rest.split_once('{').and_then(|(head, rest)| Some((head, rest.split_once('}')?)))
        {
            out.push_str(head);
            out.push_str(&self.place(place, keys));
            rest = tail;
        }
        out + rest
    }

    fn place(&mut self, place: &str, keys: Keys) -> String {
        let pick = |chance: &mut Chance, all: &[&str]| chance.of(all).to_owned();
        let names = |all: &'static [&'static str]| if self.section.is_some() { &all[..2] } else { all };
        match place {
            "k" => key(keys.first, self.tag),
            "j" => key(keys.other, self.tag),
            "e" => {
                let names = names(&["a", "b", "c", "a", "b", "1", "7", "3.5", "element"]);
                pick(self.chance, names)
            }
            "f" => {
                let names = names(&["f", "g", "h", "f", "long-field-name"]);
                pick(self.chance, names)
            }
            "v" => pick(self.chance, &["v", "w", "5", "1.25", "value"]),
            "n" => pick(self.chance, &["1", "2", "-1", "-2", "3"]),
            "i" => pick(self.chance, &["0", "1", "2", "3", "5"]),
            "s" => pick(self.chance, &["1", "2.5", "-3", "1234567.891", "0.1", "1e20", "4"]),
            "r" => pick(self.chance, &["0.1", "0.2", "0.7", "1234567.891", "-3", "1e20"]),
            "t" => pick(self.chance, &["300", "500", "900"]),
            "b" => pick(self.chance, &["0", "7", "100"]),
            "d" => pick(self.chance, &["0", "1", "2"]),
            "doc" => {
                pick(self.chance, &[r#"{"a":1,"b":[1,2],"c":true}"#, r#"{"a":5}"#, r#"{"b":[],"d":"text"}"#])
            }
            "id" => pick(self.chance, &["1-1", "2-1", "0"]),
            _ => match place.split_once('*') {
                Some((piece, times)) => piece.repeat(times.parse().unwrap()),
                None => unreachable!("{place}"),
            },
        }
    }
}

/// `e` and 3: e0 e1 e2; `e=` and 2: e0 0 e1 1; `1=` and 2, with the scores in front: 0 m0 1 m1.
fn series(stem: &str, count: usize) -> Vec<String> {
    let element = |nth: usize| match stem.strip_suffix('=') {
        None => vec![format!("{stem}{nth}")],
        Some(stem) if stem.bytes().all(|byte| byte.is_ascii_digit()) => {
            vec![nth.to_string(), format!("m{nth}")]
        }
        Some(stem) => vec![format!("{stem}{nth}"), nth.to_string()],
    };
    (0..count).flat_map(element).collect()
}

#[test]
fn the_same_seed_gives_the_same_sequence() {
    let grammar = Grammar::new(false);
    assert!(grammar.forms.len() > 130 && grammar.states.len() > 30);
    assert!(grammar.sections.len() == 7 && grammar.sections[..2] == ["strings", "lists"]);
    for seed in 0..200 {
        let sequence = grammar.random(seed);
        assert_eq!(sequence, grammar.random(seed));
        for line in sequence.lines() {
            let is_filled = |word: &String| !word.contains("{k}") && !word.contains("..");
            assert!(line.0.iter().all(is_filled) && !line.0[0].contains('{'), "{line}");
        }
    }
    assert_ne!(grammar.random(1), grammar.random(2));
    assert_eq!(series("e", 2), ["e0", "e1"]);
    assert_eq!(series("e=", 2), ["e0", "0", "e1", "1"]);
    assert_eq!(series("1=", 2), ["0", "m0", "1", "m1"]);
}
