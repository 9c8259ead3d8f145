//! `inspect keys`: one line per key.

use serde_json::json;

use super::Session;
use super::facts::{KeyFacts, KeyMeter};
use super::flags::{Format, KeysFlags};
use super::out::{Out, damaged, read_all};
use super::select::Select;
use super::time;
use crate::exit::Failure;

pub(super) fn run(flags: &KeysFlags, session: &Session<'_>) -> Result<(), Failure> {
    let (mut meter, mut select, mut out) = (KeyMeter::counting(), Select::new(&flags.select)?, Out::new());
    read_all(&flags.files, session, true, |event, _| {
        if !select.takes(&event) {
            return Ok(());
        }
        let facts = meter.event(&event).map_err(|d| damaged(&d.header.key, d.header.db, d.error))?;
        let Some(facts) = facts.filter(|facts| fits(facts, flags) && select.kind(facts.kind)) else {
            return Ok(());
        };
        match session.format {
            Format::Text => out.line(&line(&facts, session)),
            Format::Json => out.json(&row(&facts, session)),
        }
    })?;
    out.finish()
}

fn fits(facts: &KeyFacts, flags: &KeysFlags) -> bool {
    flags.min_size.is_none_or(|least| facts.bytes >= least)
        && flags.max_size.is_none_or(|most| facts.bytes <= most)
}

/// The widths are fixed, because the longest line is unknown when the first one is written. The key comes last.
fn line(facts: &KeyFacts, session: &Session<'_>) -> String {
    let header = &facts.header;
    let expiry = header.expire_at.map_or_else(|| "-".to_owned(), |at| time::show(at.0));
    format!(
        "{:>2}  {:<9}  {:<10}  {:>10}  {:>9}  {:<24}  {}",
        header.db.0,
        facts.kind.to_string(),
        facts.encoding,
        facts.bytes,
        facts.elements,
        expiry,
        session.form.text(&header.key)
    )
}

fn row(facts: &KeyFacts, session: &Session<'_>) -> serde_json::Value {
    let header = &facts.header;
    json!({
        "db": header.db.0,
        "key": session.form.text(&header.key),
        "type": facts.kind.to_string(),
        "encoding": facts.encoding,
        "bytes": facts.bytes,
        "elements": facts.elements,
        "expire_at_ms": header.expire_at.map_or(-1, |at| at.0),
    })
}
