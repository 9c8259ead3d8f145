//! Commands that the target refused.

use std::fmt;

use redis_resp::{EncodedCommand, EncodedCommands, ServerError};

/// EXEC on the wire.
pub(crate) const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

/// A command that the target refused, with the commands that follow it in its batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The target's error reply.
    pub error: ServerError,
    /// The refused command, followed by the rest of its batch.
    commands: EncodedCommands,
}

impl Refusal {
    /// A refusal of the first of `commands`.
    pub fn new(commands: EncodedCommands, error: ServerError) -> Self {
        Self { error, commands }
    }

    /// A refusal of the command at index `place` of a batch.
    pub(crate) fn at(batch: &EncodedCommands, place: usize, error: ServerError) -> Self {
        Self::new(batch.part(place, usize::MAX), error)
    }

    /// The refused command.
    pub fn command(&self) -> EncodedCommand<'_> {
        self.commands.command(0).unwrap_or_default()
    }

    /// The keys of the refused command.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.command().keys()
    }

    /// The tag of the refused command.
    pub fn tag(&self) -> u64 {
        self.command().tag()
    }

    /// The commands after the refused one in its batch.
    pub fn rest(&self) -> impl Iterator<Item = EncodedCommand<'_>> {
        self.commands.iter().skip(1)
    }

    /// The name of the refused command.
    pub fn name(&self) -> String {
        self.command().name()
    }

    /// The refused command's name and its first key; never a value.
    pub fn describe(&self) -> String {
        self.command().describe()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.describe(), self.error)
    }
}

#[cfg(test)]
mod tests {
    use redis_resp::CommandBatch;

    use super::*;

    #[test]
    fn a_refusal_knows_its_command_and_what_is_behind_it() {
        let mut batch = CommandBatch::default();
        for (at, name) in [b"A", b"B", b"C", b"D"].into_iter().enumerate() {
            batch.push_keyed(&[name, b"v", b"k"], 2..3, at as u64);
        }
        let refusal = Refusal::at(&batch.take(), 1, ServerError::parse(b"ERR no"));
        assert_eq!((refusal.name().as_str(), refusal.tag()), ("B", 1));
        assert_eq!(
            (refusal.keys().collect::<Vec<_>>(), refusal.to_string()),
            (vec![&b"k"[..]], "B \"k\": ERR no".into())
        );
        assert_eq!(refusal.rest().map(EncodedCommand::name).collect::<Vec<_>>(), ["C", "D"]);
    }

    #[test]
    fn scripts_are_described_by_their_key() {
        let describe = |words: &[&[u8]], keys| {
            let mut batch = CommandBatch::default();
            batch.push_keyed(words, keys, 0);
            Refusal::new(batch.take(), ServerError::parse(b"ERR no")).describe()
        };
        assert_eq!(describe(&[b"EVAL", b"return 1", b"1", b"k"], 3..4), "a script on key \"k\"");
        assert_eq!(describe(&[b"EVAL", b"return 1", b"0"], 0..0), "a script");
        assert_eq!(describe(&[b"XGROUP", b"CREATE", b"s"], 2..3), "XGROUP \"s\"");
        assert_eq!(describe(&[b"SELECT", b"3"], 0..0), "SELECT \"3\"");
        assert_eq!(describe(&[b"EXEC"], 0..0), "EXEC");
    }
}
