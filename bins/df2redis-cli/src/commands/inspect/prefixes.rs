//! `inspect prefixes`: a tree of key prefixes.

use serde_json::json;

use super::Session;
use super::facts::KeyMeter;
use super::flags::{Format, PrefixesFlags};
use super::out::{Out, damaged, read_all};
use super::select::Select;
use super::table::{Align, Table};
use super::tree::{Node, Tree};
use crate::commands::progress::size;
use crate::exit::Failure;

pub(super) fn run(flags: &PrefixesFlags, session: &Session<'_>) -> Result<(), Failure> {
    let (mut meter, mut select) = (KeyMeter::default(), Select::new(&flags.select)?);
    let mut tree = Tree::new(&flags.separator, flags.depth);
    read_all(&flags.files, session, false, |event, _| {
        if !select.takes(&event) {
            return Ok(());
        }
        let facts = meter.event(&event).map_err(|d| damaged(&d.header.key, d.header.db, d.error))?;
        if let Some(facts) = facts.filter(|facts| select.kind(facts.kind)) {
            tree.add(&facts.header.key, facts.bytes);
        }
        Ok(())
    })?;
    session.console.clear_progress();
    let mut out = Out::new();
    match session.format {
        Format::Text => text(&tree, (flags, session), &mut out)?,
        Format::Json => out.json(&json!({
            "keys": tree.root.keys,
            "bytes": tree.root.bytes,
            "keys_may_be_short_by": tree.forgotten,
            "prefixes": json_children(&tree.root, &[], (flags, session)),
        }))?,
    }
    out.finish()
}

/// A prefix in a table, with its depth.
type Row<'t> = (Vec<u8>, usize, &'t Node);

fn text(tree: &Tree, (flags, session): (&PrefixesFlags, &Session<'_>), out: &mut Out) -> Result<(), Failure> {
    let mut table = Table::new(&[
        ("prefix", Align::Left),
        ("keys", Align::Right),
        ("bytes", Align::Right),
        ("bytes per key", Align::Right),
    ]);
    let mut rows = Vec::new();
    collect(&tree.root, (&[], 0), flags.min, &mut rows);
    let cells = |name, node: &Node| {
        [name, node.keys.to_string(), size(node.bytes), size(node.bytes / node.keys.max(1))]
    };
    table.row(cells("all keys".to_owned(), &tree.root));
    for (prefix, depth, node) in rows {
        let name = format!("{}{}", "  ".repeat(depth), session.form.text(&prefix));
        table.row(cells(name, node));
    }
    table.lines().iter().try_for_each(|line| out.line(line))?;
    if tree.forgotten > 0 {
        let most = tree.forgotten;
        out.line(&format!(
            "\nThere are too many prefixes to hold all of them: each count may be up to {most} keys too low."
        ))?;
    }
    Ok(())
}

/// The children of a node, the largest first.
fn ordered(node: &Node, least: u64) -> Vec<(&Vec<u8>, &Node)> {
    let mut children: Vec<_> = node.children.iter().filter(|(_, child)| child.keys >= least).collect();
    children.sort_by_key(|(part, child)| (std::cmp::Reverse(child.keys), *part));
    children
}

/// Collects whole prefixes, so that each line can be understood and searched for alone.
fn collect<'t>(node: &'t Node, (prefix, depth): (&[u8], usize), least: u64, rows: &mut Vec<Row<'t>>) {
    for (part, child) in ordered(node, least) {
        let whole = [prefix, part].concat();
        rows.push((whole.clone(), depth + 1, child));
        collect(child, (&whole, depth + 1), least, rows);
    }
}

fn json_children(
    node: &Node,
    prefix: &[u8],
    (flags, session): (&PrefixesFlags, &Session<'_>),
) -> Vec<serde_json::Value> {
    let child = |(part, child): (&Vec<u8>, &Node)| {
        let whole = [prefix, part].concat();
        json!({
            "prefix": session.form.text(&whole),
            "keys": child.keys,
            "bytes": child.bytes,
            "prefixes": json_children(child, &whole, (flags, session)),
        })
    };
    ordered(node, flags.min).into_iter().map(child).collect()
}
