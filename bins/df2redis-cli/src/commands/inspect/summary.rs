//! `inspect summary`: counts and bytes by type, encoding, database and expiry.

use std::collections::BTreeMap;

use dfly_rdb::Event;
use serde::Serialize;

use super::Session;
use super::facts::{KeyFacts, KeyMeter};
use super::files::Part;
use super::flags::{Format, SummaryFlags};
use super::out::{Out, damaged, read_all};
use super::table::{Align, Table};
use super::time;
use crate::commands::progress::size;
use crate::exit::Failure;

/// Maximum number of rows of a table. Everything beyond goes into one row.
const ROWS: usize = 1024;

/// The upper ends of the expiry histogram, in milliseconds from the time of writing.
const EXPIRIES: [(i64, &str); 7] = [
    (0, "before the file was written"),
    (60_000, "within a minute"),
    (3_600_000, "within an hour"),
    (86_400_000, "within a day"),
    (7 * 86_400_000, "within 7 days"),
    (30 * 86_400_000, "within 30 days"),
    (365 * 86_400_000, "within a year"),
];

#[derive(Debug, Default, Clone, Copy, Serialize)]
struct Count {
    keys: u64,
    expiring: u64,
    bytes: u64,
}

impl Count {
    fn add(&mut self, facts: &KeyFacts) {
        self.keys += 1;
        self.expiring += u64::from(facts.header.expire_at.is_some());
        self.bytes += facts.bytes;
    }
}

/// Counts of what the files hold besides keys.
#[derive(Debug, Default, Serialize)]
struct Beside {
    functions: u64,
    scripts: u64,
    search_indexes: u64,
    vector_indexes: u64,
    module_data: u64,
}

#[derive(Debug, Default)]
struct Counts {
    all: Count,
    by_type: BTreeMap<String, Count>,
    by_encoding: BTreeMap<(String, &'static str), Count>,
    by_db: BTreeMap<Option<u32>, Count>,
    by_expiry: BTreeMap<usize, Count>,
    expired_now: u64,
    beside: Beside,
}

impl Counts {
    fn add(&mut self, facts: &KeyFacts, written_at: i64, now: i64) {
        self.all.add(facts);
        let known = self.by_type.len() < ROWS;
        let kind = facts.kind.to_string();
        let kind = if known || self.by_type.contains_key(&kind) { kind } else { "others".to_owned() };
        self.by_encoding.entry((kind.clone(), facts.encoding)).or_default().add(facts);
        self.by_type.entry(kind).or_default().add(facts);
        let db = Some(facts.header.db.0);
        let db = db.filter(|_| self.by_db.len() < ROWS || self.by_db.contains_key(&db));
        self.by_db.entry(db).or_default().add(facts);
        if let Some(at) = facts.header.expire_at {
            let from = at.0.saturating_sub(written_at);
            let bucket = EXPIRIES.iter().position(|(end, _)| from <= *end).unwrap_or(EXPIRIES.len());
            self.by_expiry.entry(bucket).or_default().add(facts);
            self.expired_now += u64::from(at.0 <= now);
        }
    }

    fn beside(&mut self, event: &Event) {
        match event {
            Event::Function(_) => self.beside.functions += 1,
            Event::Aux { key, .. } if key == "lua" => self.beside.scripts += 1,
            Event::Aux { key, .. } if key == "search-index" => self.beside.search_indexes += 1,
            Event::VectorIndex { .. } => self.beside.vector_indexes += 1,
            Event::ModuleAux(_) => self.beside.module_data += 1,
            _ => {}
        }
    }
}

pub(super) fn run(flags: &SummaryFlags, session: &Session<'_>) -> Result<(), Failure> {
    let (mut meter, mut counts, now) = (KeyMeter::default(), Counts::default(), time::now());
    let parts = read_all(&flags.files, session, false, |event, head| {
        counts.beside(&event);
        let facts = meter.event(&event).map_err(|d| damaged(&d.header.key, d.header.db, d.error))?;
        if let Some(facts) = facts {
            counts.add(&facts, head.written_at.unwrap_or(now), now);
        }
        Ok(())
    })?;
    session.console.clear_progress();
    let mut out = Out::new();
    match session.format {
        Format::Text => text(&parts, &counts, &mut out)?,
        Format::Json => out.json(&json(&parts, &counts))?,
    }
    out.finish()
}

fn text(parts: &[Part], counts: &Counts, out: &mut Out) -> Result<(), Failure> {
    let mut files = Table::new(&[
        ("file", Align::Left),
        ("size", Align::Right),
        ("format", Align::Left),
        ("written by", Align::Left),
        ("written at", Align::Left),
    ]);
    for part in parts {
        let at = part.head.written_at.map(time::show).unwrap_or_default();
        let producer = part.head.producer.clone().unwrap_or_default();
        files.row([part.name(), size(part.size), part.head.format(), producer, at]);
    }
    show(&files, out)?;
    let Count { keys, expiring, bytes } = counts.all;
    out.line(&format!("{keys} keys, {expiring} with an expiry, {} of keys and values\n", size(bytes)))?;
    show(&by_type(counts), out)?;
    show(&by_encoding(counts), out)?;
    show(&by_db(counts), out)?;
    if expiring > 0 {
        show(&by_expiry(counts), out)?;
        out.line(&format!("already expired: {}", counts.expired_now))?;
    }
    for line in beside(&counts.beside) {
        out.line(&line)?;
    }
    Ok(())
}

fn show(table: &Table, out: &mut Out) -> Result<(), Failure> {
    table.lines().iter().try_for_each(|line| out.line(line))?;
    out.line("")
}

fn cells(count: &Count, all: &Count) -> [String; 4] {
    let thousandths = u128::from(count.bytes) * 1000 / u128::from(all.bytes.max(1));
    let share = format!("{}.{} %", thousandths / 10, thousandths % 10);
    [count.keys.to_string(), count.expiring.to_string(), size(count.bytes), share]
}

const NUMBERS: [(&str, Align); 4] = [
    ("keys", Align::Right),
    ("with expiry", Align::Right),
    ("bytes", Align::Right),
    ("of all bytes", Align::Right),
];

fn by_type(counts: &Counts) -> Table {
    let mut table = Table::new(&[&[("type", Align::Left)], &NUMBERS[..]].concat());
    for (name, count) in &counts.by_type {
        let [keys, expiring, bytes, share] = cells(count, &counts.all);
        table.row([name.clone(), keys, expiring, bytes, share]);
    }
    table
}

fn by_encoding(counts: &Counts) -> Table {
    let mut table = Table::new(&[&[("type", Align::Left), ("encoding", Align::Left)], &NUMBERS[..]].concat());
    for ((name, encoding), count) in &counts.by_encoding {
        let [keys, expiring, bytes, share] = cells(count, &counts.all);
        table.row([name.clone(), (*encoding).to_owned(), keys, expiring, bytes, share]);
    }
    table
}

fn by_db(counts: &Counts) -> Table {
    let mut table = Table::new(&[&[("database", Align::Right)], &NUMBERS[..]].concat());
    for (db, count) in &counts.by_db {
        let [keys, expiring, bytes, share] = cells(count, &counts.all);
        let db = db.map_or_else(|| "others".to_owned(), |db| db.to_string());
        table.row([db, keys, expiring, bytes, share]);
    }
    table
}

fn by_expiry(counts: &Counts) -> Table {
    let mut table =
        Table::new(&[("expires after the file was written", Align::Left), NUMBERS[0], NUMBERS[2]]);
    for (bucket, count) in &counts.by_expiry {
        table.row([expiry_name(*bucket).to_owned(), count.keys.to_string(), size(count.bytes)]);
    }
    table
}

fn expiry_name(bucket: usize) -> &'static str {
    EXPIRIES.get(bucket).map_or("later", |(_, name)| name)
}

fn beside(beside: &Beside) -> Vec<String> {
    let all = [
        (beside.functions, "function libraries"),
        (beside.scripts, "scripts"),
        (beside.search_indexes, "search indexes"),
        (beside.vector_indexes, "vector indexes"),
        (beside.module_data, "module data outside the keys"),
    ];
    all.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{what}: {count}")).collect()
}

fn json(parts: &[Part], counts: &Counts) -> serde_json::Value {
    let row = |extra: serde_json::Value, count: &Count| {
        let mut row = extra;
        if let (Some(row), Ok(serde_json::Value::Object(numbers))) =
            (row.as_object_mut(), serde_json::to_value(count))
        {
            row.extend(numbers);
        }
        row
    };
    let files = parts.iter().map(|part| {
        serde_json::json!({
            "file": part.name(), "bytes": part.size, "format": part.head.format(),
            "written_by": part.head.producer, "written_at_ms": part.head.written_at,
        })
    });
    let types = counts.by_type.iter().map(|(name, count)| row(serde_json::json!({"type": name}), count));
    let encodings = counts.by_encoding.iter();
    let encodings = encodings
        .map(|((name, encoding), count)| row(serde_json::json!({"type": name, "encoding": encoding}), count));
    let dbs = counts.by_db.iter().map(|(db, count)| row(serde_json::json!({"db": db}), count));
    let expiries = counts.by_expiry.iter().map(|(bucket, count)| {
        let end = EXPIRIES.get(*bucket).map(|(end, _)| *end);
        row(serde_json::json!({"within_ms": end, "name": expiry_name(*bucket)}), count)
    });
    serde_json::json!({
        "files": files.collect::<Vec<_>>(), "all": counts.all,
        "by_type": types.collect::<Vec<_>>(), "by_encoding": encodings.collect::<Vec<_>>(),
        "by_db": dbs.collect::<Vec<_>>(), "by_expiry": expiries.collect::<Vec<_>>(),
        "expired_now": counts.expired_now, "beside_keys": counts.beside,
    })
}
