//! Outgoing commands, encoded straight into a reused buffer.

use bytes::{BufMut, Bytes, BytesMut};

/// Commands in the order they are sent, encoded as RESP arrays, with the place where each ends.
#[derive(Debug, Default, Clone)]
pub struct CommandBatch {
    bytes: BytesMut,
    /// `ends[i]` is where command `i` ends in `bytes`; ascending.
    ends: Vec<usize>,
}

impl CommandBatch {
    /// Starts a command of `arguments` arguments, the name counted. Exactly that many must be written to the writer.
    pub fn start(&mut self, arguments: usize) -> CommandWriter<'_> {
        header(&mut self.bytes, b'*', arguments);
        CommandWriter { batch: self, missing: arguments }
    }

    /// Adds one whole command.
    pub fn push(&mut self, arguments: &[&[u8]]) {
        let mut writer = self.start(arguments.len());
        for argument in arguments {
            writer.arg(argument);
        }
        writer.finish();
    }

    /// Adds a command that is encoded already, as [`Self::command`] gives it.
    pub fn push_encoded(&mut self, command: &[u8]) {
        self.bytes.put_slice(command);
        self.ends.push(self.bytes.len());
    }

    /// How many commands it holds.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it holds no command.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Size of all commands on the wire, in bytes.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Command `index` as it goes on the wire.
    pub fn command(&self, index: usize) -> Option<&[u8]> {
        let start = match index {
            0 => 0,
            _ => *self.ends.get(index - 1)?,
        };
        self.bytes.get(start..*self.ends.get(index)?)
    }

    /// The encoded commands and their ends, leaving an empty batch behind.
    pub fn take(&mut self) -> (Bytes, Vec<usize>) {
        (self.bytes.split().freeze(), std::mem::take(&mut self.ends))
    }

    /// Gives back a vector that [`Self::take`] handed out, so that its allocation is used again.
    pub fn recycle(&mut self, mut ends: Vec<usize>) {
        if self.ends.is_empty() && ends.capacity() > self.ends.capacity() {
            ends.clear();
            self.ends = ends;
        }
    }

    /// Forgets every command from `len` on.
    pub fn truncate(&mut self, len: usize) {
        let end = match len {
            0 => 0,
            _ => self.ends.get(len - 1).copied().unwrap_or(self.bytes.len()),
        };
        self.bytes.truncate(end);
        self.ends.truncate(len);
    }
}

/// Writes the arguments of one command.
#[derive(Debug)]
pub struct CommandWriter<'a> {
    batch: &'a mut CommandBatch,
    missing: usize,
}

impl CommandWriter<'_> {
    /// Writes the next argument.
    pub fn arg(&mut self, argument: &[u8]) -> &mut Self {
        debug_assert!(self.missing > 0, "more arguments than were announced");
        self.missing = self.missing.saturating_sub(1);
        let out = &mut self.batch.bytes;
        header(out, b'$', argument.len());
        out.reserve(argument.len() + 2);
        out.put_slice(argument);
        out.put_slice(b"\r\n");
        self
    }

    /// Writes an integer as the next argument.
    pub fn int(&mut self, value: i64) -> &mut Self {
        let mut digits = itoa::Buffer::new();
        self.arg(digits.format(value).as_bytes())
    }

    /// Ends the command; it counts from now on.
    pub fn finish(&mut self) {
        debug_assert_eq!(self.missing, 0, "fewer arguments than were announced");
        let end = self.batch.bytes.len();
        self.batch.ends.push(end);
    }
}

fn header(out: &mut BytesMut, kind: u8, count: usize) {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(count).as_bytes();
    out.reserve(digits.len() + 3);
    out.put_u8(kind);
    out.put_slice(digits);
    out.put_slice(b"\r\n");
}

/// The arguments of a command that this crate encoded, name first; ends at the first thing it did not write.
pub fn arguments(command: &[u8]) -> impl Iterator<Item = &[u8]> {
    let body = memchr::memchr(b'\n', command).and_then(|at| command.get(at + 1..)).unwrap_or_default();
    std::iter::successors(split_argument(body), |(_, rest)| split_argument(rest))
        .map(|(argument, _)| argument)
}

/// The commands that stand one behind the other in `wire`, as this crate encodes them.
pub fn commands(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(split_command(wire), |(_, rest)| split_command(rest)).map(|(command, _)| command)
}

fn split_command(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let body = input.get(memchr::memchr(b'\n', input.strip_prefix(b"*").map(|_| input)?)? + 1..)?;
    let mut rest = body;
    while let Some((_, behind)) = split_argument(rest) {
        rest = behind;
    }
    Some(input.split_at(input.len() - rest.len()))
}

fn split_argument(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let input = input.strip_prefix(b"$")?;
    let line_end = memchr::memchr(b'\r', input)?;
    let len: usize = std::str::from_utf8(input.get(..line_end)?).ok()?.parse().ok()?;
    let (argument, rest) = input.get(line_end + 2..)?.split_at_checked(len)?;
    Some((argument, rest.get(2..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commands_one_behind_the_other() {
        let mut batch = CommandBatch::default();
        for words in [&[&b"A"[..]][..], &[b"B", b"*1\r\n$1\r\nx"], &[b"C", b"", b"2"]] {
            batch.push(words);
        }
        let (wire, _) = batch.take();
        let found: Vec<Vec<&[u8]>> = commands(&wire).map(|command| arguments(command).collect()).collect();
        assert_eq!(found, [vec![&b"A"[..]], vec![b"B", b"*1\r\n$1\r\nx"], vec![b"C", b"", b"2"]]);
        assert_eq!((commands(b"").count(), commands(b"+OK\r\n").count()), (0, 0));
    }

    #[test]
    fn truncation_forgets_whole_commands() {
        let mut batch = CommandBatch::default();
        batch.push(&[b"A"]);
        batch.push(&[b"B", b"1"]);
        batch.truncate(1);
        assert_eq!(
            (batch.len(), batch.command(0), batch.command(1)),
            (1, Some(&b"*1\r\n$1\r\nA\r\n"[..]), None)
        );
        batch.truncate(0);
        assert_eq!((batch.len(), batch.byte_len()), (0, 0));
    }

    proptest! {
        #[test]
        fn arguments_read_back(
            commands in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6), 0..10),
        ) {
            let mut batch = CommandBatch::default();
            for command in &commands {
                batch.push(&command.iter().map(Vec::as_slice).collect::<Vec<_>>());
            }
            for (i, command) in commands.iter().enumerate() {
                let back: Vec<&[u8]> = arguments(batch.command(i).unwrap()).collect();
                prop_assert_eq!(&back, command);
            }
        }
    }
}
