//! The commands that a replica sent on one connection.

use bytes::{Bytes, BytesMut};

use crate::front::command::parse_command;

/// A connection's commands, each with the offset at which it starts.
pub(super) type Commands = Vec<(usize, Vec<Bytes>)>;

pub(super) fn commands_of(c2s: &Bytes) -> Result<Commands, String> {
    let mut rest = BytesMut::from(&c2s[..]);
    let mut commands = Vec::new();
    loop {
        let offset = c2s.len() - rest.len();
        match parse_command(&mut rest)? {
            Some(command) => commands.push((offset, command)),
            None => return Ok(commands),
        }
    }
}

/// Whether `command` begins with `words`, ignoring case.
pub(super) fn is(command: &[Bytes], words: &[&str]) -> bool {
    command.len() >= words.len()
        && command.iter().zip(words).all(|(a, b)| a.eq_ignore_ascii_case(b.as_bytes()))
}
