//! A target's connections as text: one command a line, words escaped, long ones as length and hash.

use std::collections::BTreeSet;
use std::fmt::Write;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::masks::Spoken;
use super::roles::Role;
use super::slots::{distinct, last_questions, last_stores, slot_by_slot, without_borders};
use crate::resp::Command;

/// A word above this length is shown by its hash, in bytes.
const LONG: usize = 64;

/// So many commands of one name in a row are shown as one.
const MANY: usize = 200;

/// So many words of a command are shown; of a longer one these, and a hash of the others.
const WORDS: usize = 24;

/// Behind the lines that are shown of a connection so many at a time are shown as one, so that the files stay small and a
/// difference is still found.
const BLOCK: usize = 100;

/// A connection as it is shown.
#[derive(Debug)]
struct Section {
    role: Role,
    node: usize,
    /// When it was opened, among those of its role whose order is certain; 0 for others.
    nth: usize,
    lines: Vec<String>,
}

/// How a target's connections are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// As the commands came; to a cluster without positions that are stored while more is to come.
    AsSent,
    /// To a cluster: slot by slot, and without the order and the number of questions about positions.
    SlotBySlot,
    /// Through a disk: which records share a transaction depends on how soon it answers, so only what the transactions hold.
    WithoutBorders,
}

/// How much of them is shown, and in which order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub order: Order,
    /// Lines of each connection that writes; of others a fourth of it.
    pub lines: usize,
    /// Positions are shown without the record up to which the answers were heard.
    pub hides_heard: bool,
}

impl Look {
    /// Everything that a golden file has room for.
    pub(crate) fn full(order: Order) -> Self {
        Self { order, lines: 100, hides_heard: false }
    }
}

/// The text of all connections.
pub(super) fn render(connections: Vec<Spoken>, look: Look) -> String {
    let is_cluster = connections.iter().any(|spoken| spoken.node > 0);
    let sections = connections.into_iter().enumerate().filter(|(_, spoken)| !spoken.commands.is_empty());
    let mut sections: Vec<Section> =
        sections.map(|(nth, spoken)| section(nth, &spoken, (look.order, is_cluster))).collect();
    sections.sort_by(|one, other| place(one).cmp(&place(other)));
    let mut out = String::new();
    let (topology, others): (Vec<Section>, Vec<Section>) =
        sections.into_iter().partition(|section| section.role == Role::Topology);
    let shown = |section: &Section| match section.role {
        Role::Writer(_) => shortened(&section.lines, look.lines),
        _ => shortened(&section.lines, look.lines / 4),
    };
    for same in others.chunk_by(|one, other| place(one) == place(other)) {
        let title = same[0].role.title();
        let node = if is_cluster { format!("node {}, ", same[0].node) } else { String::new() };
        let times = if same.len() > 1 { format!(", {} times", same.len()) } else { String::new() };
        writeln!(out, "== {node}{title}{times}\n{}\n", shown(&same[0]).join("\n")).unwrap();
    }
    // How often it is asked for, and of which node, depends on how long things take.
    let asked: BTreeSet<String> = topology.into_iter().flat_map(|section| section.lines).collect();
    if !asked.is_empty() {
        let lines: Vec<String> = asked.into_iter().collect();
        writeln!(out, "== topology, as often as need be\n{}\n", lines.join("\n")).unwrap();
    }
    out.truncate(out.trim_end().len());
    out + "\n"
}

fn place(section: &Section) -> (&Role, usize, usize, &[String]) {
    (&section.role, section.node, section.nth, &section.lines)
}

fn section(nth: usize, spoken: &Spoken, (order, is_cluster): (Order, bool)) -> Section {
    let role = Role::of(spoken);
    let commands = match (&role, order) {
        (Role::Writer(_), Order::SlotBySlot) => slot_by_slot(&spoken.commands),
        (Role::Writer(_), Order::WithoutBorders) if is_cluster => {
            without_borders(&slot_by_slot(&spoken.commands))
        }
        (Role::Writer(_), Order::WithoutBorders) => without_borders(&spoken.commands),
        (Role::Keeper(_), Order::SlotBySlot | Order::WithoutBorders) => distinct(&spoken.commands),
        // A single server's first position of a flow is stored once, so nothing is left out there.
        (Role::Writer(_), Order::AsSent) if is_cluster => last_stores(spoken),
        (Role::Keeper(_), Order::AsSent) => last_questions(spoken),
        _ => spoken.commands.clone(),
    };
    // The others may be opened at the same time.
    let nth = if matches!(role, Role::Writer(Some(_))) { nth } else { 0 };
    Section { role, node: spoken.node, nth, lines: lines(&commands) }
}

fn lines(commands: &[Command]) -> Vec<String> {
    let runs = commands.chunk_by(|one, other| one[0] == other[0]);
    let shown = |run: &[Command]| match run.len() {
        MANY.. => vec![many(run)],
        _ => run.iter().map(line).collect(),
    };
    runs.flat_map(shown).collect()
}

fn many(run: &[Command]) -> String {
    let text: Vec<u8> = run.iter().flat_map(|command| command.join(&b"\r\n"[..])).collect();
    format!("{} <{} times {:016x}>", word(&run[0][0]), run.len(), xxh3_64(&text))
}

fn line(command: &Command) -> String {
    let (shown, rest) = command.split_at(command.len().min(WORDS));
    let mut words: Vec<String> = shown.iter().map(word).collect();
    if !rest.is_empty() {
        let hash = xxh3_64(&rest.join(&b"\r\n"[..]));
        words.push(format!("<{} words {hash:016x}>", rest.len()));
    }
    words.join(" ")
}

/// The lines of a connection, those behind the first `most` as blocks.
fn shortened(lines: &[String], most: usize) -> Vec<String> {
    let (shown, rest) = lines.split_at(lines.len().min(most));
    let block = |(nth, block): (usize, &[String])| {
        let hash = xxh3_64(block.join("\n").as_bytes());
        let first = most + nth * BLOCK + 1;
        format!("<lines {first} to {} {hash:016x}>", first + block.len() - 1)
    };
    shown.iter().cloned().chain(rest.chunks(BLOCK).enumerate().map(block)).collect()
}

fn word(word: &Bytes) -> String {
    let is_plain = word.iter().all(u8::is_ascii_graphic)
        && !word.is_empty()
        && !word.starts_with(b"\"")
        && !word.starts_with(b"<");
    match word.len() {
        LONG.. => format!("<{} bytes {:016x}>", word.len(), xxh3_64(word)),
        _ if is_plain => String::from_utf8_lossy(word).into_owned(),
        _ => format!("\"{}\"", word.escape_ascii()),
    }
}
