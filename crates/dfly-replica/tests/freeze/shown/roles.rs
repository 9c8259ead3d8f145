//! What a connection is for, as its commands tell.

use bytes::Bytes;

use super::masks::Spoken;
use crate::resp::{Command, begins};

/// What a connection is for. The order is that of the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// It writes a flow's values and records; none: only such as do not tell of which flow they are.
    Writer(Option<String>),
    /// It asks whether a flow's position may be stored in a cluster.
    Keeper(String),
    /// It walks through keys.
    Walk,
    /// It finds out what the target takes.
    Probe,
    /// It asks other questions.
    Questions,
    /// It asks for the topology alone, as often as there is a reason to.
    Topology,
}

impl Role {
    pub(super) fn of(spoken: &Spoken) -> Self {
        let commands = &spoken.commands;
        let has = |words: &[&str]| commands.iter().any(|command| begins(command, words));
        if commands.iter().all(|command| begins(command, &["CLUSTER", "SHARDS"])) {
            return Self::Topology;
        }
        if commands.first().is_some_and(|command| begins(command, &["MULTI"])) {
            return Self::Probe;
        }
        if let Some(flow) = commands.iter().find_map(stored) {
            return Self::Keeper(flow);
        }
        let flow = commands.iter().find_map(written);
        // The pipeline of a cluster asks each node how it calls the connection, and for no list.
        let is_of_cluster = has(&["CLIENT", "ID"]) && !has(&["CLIENT", "LIST"]);
        match flow {
            Some(flow) if !has(&["CLIENT", "LIST"]) => Self::Writer(Some(flow)),
            None if is_of_cluster => Self::Writer(None),
            _ if has(&["SCAN"]) => Self::Walk,
            _ => Self::Questions,
        }
    }

    pub(super) fn title(&self) -> String {
        match self {
            Self::Writer(Some(flow)) => format!("writer of {flow}"),
            Self::Writer(None) => "writer".to_owned(),
            Self::Keeper(flow) => format!("keeper of {flow}"),
            Self::Walk => "walk".to_owned(),
            Self::Probe => "probe".to_owned(),
            Self::Questions => "questions".to_owned(),
            Self::Topology => "topology".to_owned(),
        }
    }
}

fn is_flow(word: &Bytes) -> bool {
    word.starts_with(b"flow:")
}

/// The flow whose position a command writes, or makes a transaction depend on.
fn written(command: &Command) -> Option<String> {
    let field = match (&command[0][..], command.len()) {
        (b"EVAL", 6..) => command.get(5).filter(|word| is_flow(word)),
        (b"HSET", 4..) if command[1].starts_with(b"df2redis") => {
            command[2..].iter().find(|word| is_flow(word))
        }
        _ => None,
    };
    field.map(|field| String::from_utf8_lossy(field).replace(':', " "))
}

fn stored(command: &Command) -> Option<String> {
    let is_stored = command[0] == "HSET" && command.get(2).is_some_and(|word| word.starts_with(b"stored:"));
    is_stored.then(|| String::from_utf8_lossy(&command[2]).replace("stored:", "flow "))
}
