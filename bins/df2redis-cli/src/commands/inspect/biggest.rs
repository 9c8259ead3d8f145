//! `inspect biggest`: the biggest keys.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::Session;
use super::facts::{KeyFacts, KeyMeter};
use super::flags::{BiggestFlags, Format};
use super::out::{Out, damaged, read_all};
use super::select::Select;
use super::table::{Align, Table};
use crate::commands::progress::size;
use crate::exit::Failure;

/// Maximum number of types with a table of their own. Only a file with many modules has more.
const TYPES: usize = 64;

/// A key, ordered by its measure. Equal keys are ordered by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Big {
    measure: Reverse<u64>,
    db: u32,
    key: Vec<u8>,
    kind: String,
    encoding: &'static str,
    bytes: u64,
    elements: u64,
}

/// The `top` biggest of the offered keys. It never holds more.
#[derive(Debug, Default)]
struct Top(BTreeSet<Big>);

impl Top {
    fn offer(&mut self, measure: u64, facts: &KeyFacts, top: usize) {
        let small = self.0.last().is_some_and(|last| last.measure.0 > measure);
        if small && self.0.len() >= top {
            return;
        }
        let header = &facts.header;
        self.0.insert(Big {
            measure: Reverse(measure),
            db: header.db.0,
            // A copy, because the key is a slice of a larger buffer.
            key: header.key.to_vec(),
            kind: facts.kind.to_string(),
            encoding: facts.encoding,
            bytes: facts.bytes,
            elements: facts.elements,
        });
        if self.0.len() > top {
            self.0.pop_last();
        }
    }
}

#[derive(Debug, Default)]
struct Tops {
    bytes: Top,
    elements: Top,
}

impl Tops {
    fn offer(&mut self, facts: &KeyFacts, top: usize) {
        self.bytes.offer(facts.bytes, facts, top);
        if facts.kind.is_collection() {
            self.elements.offer(facts.elements, facts, top);
        }
    }
}

pub(super) fn run(flags: &BiggestFlags, session: &Session<'_>) -> Result<(), Failure> {
    let (mut meter, mut select) = (KeyMeter::counting(), Select::new(&flags.select)?);
    let (mut all, mut by_type, top) =
        (Tops::default(), BTreeMap::<String, Tops>::new(), usize::from(flags.top));
    read_all(&flags.files, session, false, |event, _| {
        if !select.takes(&event) {
            return Ok(());
        }
        let facts = meter.event(&event).map_err(|d| damaged(&d.header.key, d.header.db, d.error))?;
        let Some(facts) = facts.filter(|facts| select.kind(facts.kind)) else { return Ok(()) };
        all.offer(&facts, top);
        let kind = facts.kind.to_string();
        if by_type.len() < TYPES || by_type.contains_key(&kind) {
            by_type.entry(kind).or_default().offer(&facts, top);
        }
        Ok(())
    })?;
    session.console.clear_progress();
    let mut out = Out::new();
    match session.format {
        Format::Text => text((&all, &by_type), session, &mut out)?,
        Format::Json => out.json(&json(&all, &by_type, session))?,
    }
    out.finish()
}

fn text(
    (all, by_type): (&Tops, &BTreeMap<String, Tops>),
    session: &Session<'_>,
    out: &mut Out,
) -> Result<(), Failure> {
    let mut sections =
        vec![("biggest by bytes".to_owned(), &all.bytes), ("biggest by elements".to_owned(), &all.elements)];
    // With only one type, its tables would repeat the first ones.
    if by_type.len() > 1 {
        for (kind, tops) in by_type {
            sections.push((format!("{kind}: biggest by bytes"), &tops.bytes));
            sections.push((format!("{kind}: biggest by elements"), &tops.elements));
        }
    }
    sections.retain(|(_, top)| !top.0.is_empty());
    for (i, (title, top)) in sections.iter().enumerate() {
        if i > 0 {
            out.line("")?;
        }
        out.line(title)?;
        table(top, session).lines().iter().try_for_each(|line| out.line(line))?;
    }
    if sections.is_empty() { out.line("no keys") } else { Ok(()) }
}

fn table(top: &Top, session: &Session<'_>) -> Table {
    let mut table = Table::new(&[
        ("bytes", Align::Right),
        ("elements", Align::Right),
        ("type", Align::Left),
        ("encoding", Align::Left),
        ("db", Align::Right),
        ("key", Align::Left),
    ]);
    for big in &top.0 {
        let key = session.form.text(&big.key);
        let (elements, encoding, db) =
            (big.elements.to_string(), big.encoding.to_owned(), big.db.to_string());
        table.row([size(big.bytes), elements, big.kind.clone(), encoding, db, key]);
    }
    table
}

fn json(all: &Tops, by_type: &BTreeMap<String, Tops>, session: &Session<'_>) -> serde_json::Value {
    let rows = |top: &Top| -> Vec<serde_json::Value> {
        let rows = top.0.iter().map(|big| {
            json!({
                "db": big.db, "key": session.form.text(&big.key), "type": big.kind,
                "encoding": big.encoding, "bytes": big.bytes, "elements": big.elements,
            })
        });
        rows.collect()
    };
    let both = |tops: &Tops| json!({"by_bytes": rows(&tops.bytes), "by_elements": rows(&tops.elements)});
    let types: BTreeMap<&String, serde_json::Value> =
        by_type.iter().map(|(kind, tops)| (kind, both(tops))).collect();
    json!({"all": both(all), "by_type": types})
}
