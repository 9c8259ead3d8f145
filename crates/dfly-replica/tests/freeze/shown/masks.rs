//! Names that differ from run to run, replaced by stable ones in the order in which the target first saw them.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::resp::{Command, begins};
use crate::target::Log;

/// How long the name of a run is, in hexadecimal digits.
const NAME: usize = 40;

/// What the fake target lists as a connection of a session before.
const STRANGER: &str = "7777";

/// One connection.
#[derive(Debug, Clone)]
pub(super) struct Spoken {
    pub node: usize,
    pub commands: Vec<Command>,
    /// Behind how many rests each command came.
    pub rests: Vec<usize>,
}

pub(super) fn masked(mut logs: Vec<Log>, rests: &[usize]) -> Vec<Spoken> {
    logs.iter_mut().for_each(|log| leave_out_notes(&mut log.commands));
    let mut all: Vec<&(usize, Command)> = logs.iter().flat_map(|log| &log.commands).collect();
    all.sort_by_key(|(number, _)| *number);
    let (mut runs, mut sources) = (BTreeMap::new(), BTreeMap::new());
    for word in all.iter().flat_map(|(_, command)| command) {
        let (names, kind) = if is_name(word) { (&mut sources, "source") } else { (&mut runs, "run") };
        if let Some(name) = name_in(word) {
            let number = names.len() + 1;
            names.entry(name.to_vec()).or_insert(format!("{kind}-{number}"));
        }
    }
    runs.append(&mut sources);
    let behind = |number: &usize| rests.partition_point(|rest| rest <= number);
    let spoken = |log: Log| Spoken {
        node: log.node,
        rests: log.commands.iter().map(|(number, _)| behind(number)).collect(),
        commands: log.commands.into_iter().map(|(_, command)| mask(command, &runs)).collect(),
    };
    logs.into_iter().map(spoken).collect()
}

/// Which keys of a snapshot are noted together depends on how its bytes come.
fn leave_out_notes(commands: &mut Vec<(usize, Command)>) {
    let is_note = |command: &Command| command.get(1).is_some_and(|key| key.starts_with(b"df2redis:written:"));
    while let Some(at) = commands.iter().position(|(_, command)| is_note(command)) {
        let is_select = |at: usize| commands.get(at).is_some_and(|(_, command)| command[0] == "SELECT");
        // The way into database 0 and back.
        let is_between = at > 0 && is_select(at - 1) && is_select(at + 1);
        drop(if is_between { commands.drain(at - 1..=at + 1) } else { commands.drain(at..=at) });
    }
}

/// Takes the third number out of positions, which follow the names of their flows.
pub(super) fn hide_heard(spoken: &mut [Spoken]) {
    for command in spoken.iter_mut().flat_map(|spoken| &mut spoken.commands) {
        for at in 1..command.len() {
            let numbers: Vec<&[u8]> = command[at].split(|byte| *byte == b' ').collect();
            if let [next, transaction, _heard] = numbers[..]
                && command[at - 1].starts_with(b"flow:")
            {
                command[at] = [next, transaction].join(&b' ').into();
            }
        }
    }
}

fn is_name(word: &[u8]) -> bool {
    word.len() == NAME && word.iter().all(u8::is_ascii_hexdigit)
}

/// The name in a word: that of a source by itself, or that of a run with a colon and the number of a session behind it.
fn name_in(word: &[u8]) -> Option<&[u8]> {
    if is_name(word) {
        return Some(word);
    }
    let is_of_run = |window: &&[u8]| is_name(&window[..NAME]) && window[NAME] == b':';
    word.windows(NAME + 1).find(is_of_run).map(|window| &window[..NAME])
}

fn mask(mut command: Command, names: &BTreeMap<Vec<u8>, String>) -> Command {
    for word in &mut command {
        if let Some(name) = name_in(word) {
            let text = String::from_utf8_lossy(word);
            *word = text.replace(&*String::from_utf8_lossy(name), &names[name]).into();
        }
    }
    // How a server numbers its connections depends on which of them came first.
    if begins(&command, &["CLIENT", "KILL", "ID"]) && command[3] != STRANGER {
        command[3] = Bytes::from("of-a-connection-before");
    }
    command
}
