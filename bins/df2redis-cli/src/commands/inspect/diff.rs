//! `inspect diff`: the keys in which two data sets differ. Each set is read once. `partition` describes the memory use.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::Context;
use dfly_rdb::digest::ContentDigest;
use dfly_rdb::{Element, Elements, Event, KeyHeader, ModulePart, ValueError, ValueId, ValueKind};
use serde::Serialize;
use serde_json::json;

use super::Session;
use super::flags::{DiffFlags, Format};
use super::out::{Out, damaged, read_all};
use super::partition::{Fingerprint, Join, Pair, Side};
use super::time;
use crate::exit::Failure;

/// Number of keys by result.
#[derive(Debug, Default, Serialize)]
struct Counts {
    a_keys: u64,
    b_keys: u64,
    equal: u64,
    only_in_a: u64,
    only_in_b: u64,
    #[serde(rename = "type")]
    kind: u64,
    expiry: u64,
    value: u64,
}

impl Counts {
    /// Keys that are in one set only, or differ between the sets.
    fn different(&self) -> u64 {
        let in_both = self.a_keys - self.only_in_a;
        self.only_in_a + self.only_in_b + in_both - self.equal
    }
}

/// One way in which a key differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Difference {
    OnlyInA,
    OnlyInB,
    Kind,
    Expiry,
    Value,
}

impl Difference {
    fn name(self) -> &'static str {
        match self {
            Self::OnlyInA => "only in A",
            Self::OnlyInB => "only in B",
            Self::Kind => "type",
            Self::Expiry => "expiry",
            Self::Value => "value",
        }
    }
}

pub(super) fn run(flags: &DiffFlags, session: &Session<'_>) -> Result<(), Failure> {
    let mut join = Join::new().context("cannot create temporary files")?;
    for (side, file) in [(Side::A, &flags.a), (Side::B, &flags.b)] {
        read_side(side, file, (session, &mut join))?;
    }
    session.console.clear_progress();
    let (mut counts, mut out) = (Counts::default(), Out::new());
    join.finish(&mut |pair: Pair<'_>| {
        let found = differences(pair, flags, &mut counts);
        found
            .into_iter()
            .try_for_each(|difference| show(difference, pair, (session, &mut out)))
            .map_err(Stop::Shown)
    })
    .map_err(Stop::failure)?;
    match session.format {
        Format::Text => summary(&counts).iter().try_for_each(|line| out.line(line))?,
        Format::Json => out.json(&counts)?,
    }
    out.finish()?;
    match counts.different() {
        0 => Ok(()),
        1 => Err(Failure::Different("1 key differs".to_owned())),
        n => Err(Failure::Different(format!("{n} keys differ"))),
    }
}

/// Why the join stopped.
enum Stop {
    Files(std::io::Error),
    Shown(Failure),
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Files(error)
    }
}

impl Stop {
    fn failure(self) -> Failure {
        match self {
            Self::Files(error) => {
                Failure::Other(anyhow::Error::new(error).context("cannot use a temporary file"))
            }
            Self::Shown(failure) => failure,
        }
    }
}

/// A key whose digest is not complete.
struct Growing {
    header: KeyHeader,
    kind: ValueKind,
    digest: ContentDigest,
    /// Number of elements, or bytes of a text.
    elements: u64,
}

impl Growing {
    fn new(header: &KeyHeader, kind: ValueKind) -> Self {
        Self { header: header.clone(), kind, digest: ContentDigest::default(), elements: 0 }
    }

    fn add(&mut self, elements: Elements<'_>) -> Result<(), Failure> {
        let header = &self.header;
        let failed = |error: ValueError| damaged(&header.key, header.db, error);
        for element in elements {
            let element = element.map_err(failed)?;
            if let Element::Module(ModulePart::Id(id)) = element {
                self.kind = ValueKind::Module(Some(id));
            }
            self.elements += match &element {
                Element::String(text) | Element::Json(text) => text.len() as u64,
                Element::StreamTail(_) => 0,
                _ => u64::from(self.kind.is_collection()),
            };
            self.digest.add(&element);
        }
        Ok(())
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            db: self.header.db.0,
            key: self.header.key.to_vec(),
            kind: self.kind.to_string(),
            expire_at: self.header.expire_at.map(|at| at.0),
            digest: self.digest.finish(),
            elements: self.elements,
        }
    }
}

fn read_side(side: Side, file: &PathBuf, (session, join): (&Session<'_>, &mut Join)) -> Result<(), Failure> {
    let mut open: HashMap<ValueId, Growing> = HashMap::new();
    read_all(std::slice::from_ref(file), session, false, |event, _| {
        let complete = match event {
            Event::Entry(entry) => {
                let mut key = Growing::new(&entry.header, entry.value.kind());
                key.add(entry.value.elements())?;
                Some(key)
            }
            Event::Open { id, header, type_id } => {
                open.insert(id, Growing::new(&header, type_id.kind()));
                None
            }
            Event::Piece { id, piece } => {
                open.get_mut(&id).map_or(Ok(()), |key| key.add(piece.elements()))?;
                None
            }
            Event::Close { id } => open.remove(&id),
            _ => None,
        };
        let added = complete.map_or(Ok(()), |key| join.add(side, &key.fingerprint()));
        Ok(added.context("cannot write a temporary file")?)
    })
    .map(|_parts| ())
}

fn differences((a, b): Pair<'_>, flags: &DiffFlags, counts: &mut Counts) -> Vec<Difference> {
    counts.a_keys += u64::from(a.is_some());
    counts.b_keys += u64::from(b.is_some());
    let found = match (a, b) {
        (Some(a), Some(b)) => of_both(a, b, flags),
        (Some(_), None) => vec![Difference::OnlyInA],
        (None, _) => vec![Difference::OnlyInB],
    };
    counts.equal += u64::from(found.is_empty());
    for difference in &found {
        *match difference {
            Difference::OnlyInA => &mut counts.only_in_a,
            Difference::OnlyInB => &mut counts.only_in_b,
            Difference::Kind => &mut counts.kind,
            Difference::Expiry => &mut counts.expiry,
            Difference::Value => &mut counts.value,
        } += 1;
    }
    found
}

fn of_both(a: &Fingerprint, b: &Fingerprint, flags: &DiffFlags) -> Vec<Difference> {
    let expiries = match (a.expire_at, b.expire_at) {
        (Some(a), Some(b)) => a.abs_diff(b) <= flags.expiry_slack,
        (a, b) => a == b,
    };
    let same_kind = a.kind == b.kind;
    let all = [
        (same_kind, Difference::Kind),
        (expiries, Difference::Expiry),
        (!same_kind || a.digest == b.digest, Difference::Value),
    ];
    all.into_iter().filter(|(same, _)| !same).map(|(_, difference)| difference).collect()
}

fn show(
    difference: Difference,
    (a, b): Pair<'_>,
    (session, out): (&Session<'_>, &mut Out),
) -> Result<(), Failure> {
    let Some(any) = a.or(b) else { return Ok(()) };
    let key = session.form.text(&any.key);
    let side = |key: Option<&Fingerprint>| key.map(|key| told(difference, key));
    match session.format {
        Format::Text => {
            let sides = match (side(a), side(b)) {
                (Some(a), Some(b)) => format!("  ({a} in A, {b} in B)"),
                (Some(only), None) | (None, Some(only)) => format!("  ({only})"),
                (None, None) => String::new(),
            };
            out.line(&format!("{:<9}  db {:<2}  {key}{sides}", difference.name(), any.db))
        }
        Format::Json => out.json(&json!({
            "difference": difference.name(), "db": any.db, "key": key, "a": facts(a), "b": facts(b),
        })),
    }
}

/// The description of one side of a difference.
fn told(difference: Difference, key: &Fingerprint) -> String {
    match difference {
        Difference::OnlyInA | Difference::OnlyInB | Difference::Kind => key.kind.clone(),
        Difference::Expiry => key.expire_at.map_or_else(|| "never".to_owned(), time::show),
        Difference::Value => match &key.kind[..] {
            "string" | "ReJSON-RL" => format!("{} of {} bytes", key.kind, key.elements),
            _ if key.elements > 0 => format!("{} of {}", key.kind, key.elements),
            _ => key.kind.clone(),
        },
    }
}

fn facts(key: Option<&Fingerprint>) -> serde_json::Value {
    let Some(key) = key else { return serde_json::Value::Null };
    json!({
        "type": key.kind, "expire_at_ms": key.expire_at.unwrap_or(-1), "length": key.elements,
        "digest": format!("{:032x}", key.digest),
    })
}

fn summary(counts: &Counts) -> Vec<String> {
    let Counts { a_keys, b_keys, equal, only_in_a, only_in_b, kind, expiry, value } = counts;
    let gap = counts.different() > 0;
    let mut lines = vec![format!("{a_keys} keys in A, {b_keys} in B, {equal} equal in both")];
    if gap {
        lines.insert(0, String::new());
        lines.push(format!(
            "only in A: {only_in_a}, only in B: {only_in_b}, different type: {kind}, different expiry: {expiry}, different value: {value}"
        ));
    }
    lines
}
