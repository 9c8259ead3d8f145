//! One form of a command: the lines that prepare and run it, and what is expected of the master's own replica.

use std::time::{SystemTime, UNIX_EPOCH};

/// A form, written as `line ; line | line ; line`: what stands before the last `|` prepares.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    pub text: &'static str,
    pub expected: Expected,
}

/// What becomes of a form on the master's own replica.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expected {
    /// It ends with what the master holds.
    Faithful,
    /// The same but for times, which it counts from the record's arrival: the record has a relative time or none.
    Drift,
    /// It ends with something else, however many shards there are.
    Quirk(Sign),
    /// It ends with something else when the keys are on several shards.
    Apart(Sign),
}

/// A known quirk and the journal's records, `;` between them, each with `*` for a tail that differs from run to run.
/// The records are those of three shards, in any order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sign {
    pub name: &'static str,
    pub journal: &'static str,
}

pub(crate) const fn same(text: &'static str) -> Form {
    Form { text, expected: Expected::Faithful }
}

pub(crate) const fn drift(text: &'static str) -> Form {
    Form { text, expected: Expected::Drift }
}

pub(crate) const fn quirk(name: &'static str, text: &'static str, journal: &'static str) -> Form {
    Form { text, expected: Expected::Quirk(Sign { name, journal }) }
}

pub(crate) const fn apart(name: &'static str, text: &'static str, journal: &'static str) -> Form {
    Form { text, expected: Expected::Apart(Sign { name, journal }) }
}

impl Form {
    /// The quirk that is expected with so many shards.
    pub(crate) fn sign(&self, shards: usize) -> Option<Sign> {
        match self.expected {
            Expected::Quirk(sign) => Some(sign),
            Expected::Apart(sign) => (shards > 1).then_some(sign),
            Expected::Faithful | Expected::Drift => None,
        }
    }

    pub(crate) fn drifts(&self) -> bool {
        matches!(self.expected, Expected::Drift)
    }

    pub(crate) fn setup(&self) -> Vec<&'static str> {
        self.text.rsplit_once(" | ").map_or(Vec::new(), |(setup, _)| setup.split(" ; ").collect())
    }

    pub(crate) fn action(&self) -> Vec<&'static str> {
        let action = self.text.rsplit_once(" | ").map_or(self.text, |(_, action)| action);
        action.split(" ; ").filter(|line| !line.is_empty()).collect()
    }

    /// Names of the commands that it runs, in upper case.
    pub(crate) fn commands(&self) -> Vec<String> {
        let lines = self.action().into_iter().map(|line| line.trim_start_matches("& "));
        let names = lines.filter_map(|line| line.split(' ').next());
        let command = |name: &str| match name {
            "restore-of" => "RESTORE".to_owned(),
            "load-chunks-of" => "BF.LOADCHUNK".to_owned(),
            name => name.to_uppercase(),
        };
        names.map(command).collect()
    }
}

/// The arguments of a line. `'..'` holds spaces; `\n`, `\r`, `\xHH` are bytes; `{now+5}` is the time in milliseconds, plus 5;
/// `{sec-5}` the same in seconds; `{v*9}` is nine times `v`.
pub(crate) fn words(line: &str) -> Vec<Vec<u8>> {
    let (mut out, mut rest) = (Vec::new(), line.trim());
    while !rest.is_empty() {
        let (word, tail) = match rest.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'').unwrap(),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        out.push(unescape(&expand(word)));
        rest = tail.trim_start();
    }
    out
}

/// Bytes of a text with `\n`, `\r` and `\xHH`.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let (mut out, mut bytes) = (Vec::new(), text.bytes());
    while let Some(byte) = bytes.next() {
        let escaped = (byte == b'\\').then(|| bytes.next().unwrap());
        out.push(match escaped {
            None => byte,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b'x') => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            Some(other) => other,
        });
    }
    out
}

fn expand(word: &str) -> String {
    let Some((head, (inner, tail))) =
        word.split_once('{').and_then(|(h, rest)| Some((h, rest.split_once('}')?)))
    else {
        return word.to_owned();
    };
    let number = |text: &str| if text.is_empty() { 0 } else { text.parse::<i64>().unwrap() };
    let middle = if let Some(offset) = inner.strip_prefix("now") {
        (now_ms() + number(offset)).to_string()
    } else if let Some(offset) = inner.strip_prefix("sec") {
        (now_ms() / 1000 + number(offset)).to_string()
    } else if let Some((piece, times)) = inner.split_once('*').filter(|(piece, _)| !piece.contains('"')) {
        piece.repeat(times.parse().unwrap())
    } else {
        return word.to_owned();
    };
    format!("{head}{middle}{tail}")
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
