//! Parses encoded commands, for messages and tests.

/// The arguments of a command that this crate encoded, name first. Iteration ends at the first bytes that it did not write.
pub fn arguments(command: &[u8]) -> impl Iterator<Item = &[u8]> {
    let body = memchr::memchr(b'\n', command).and_then(|at| command.get(at + 1..)).unwrap_or_default();
    std::iter::successors(split_argument(body), |(_, rest)| split_argument(rest))
        .map(|(argument, _)| argument)
}

/// The consecutive commands in `wire`, as this crate encodes them.
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
    use super::*;
    use crate::CommandBatch;

    #[test]
    fn commands_one_behind_the_other() {
        let mut batch = CommandBatch::default();
        for words in [&[&b"A"[..]][..], &[b"B", b"*1\r\n$1\r\nx"], &[b"C", b"", b"2"]] {
            batch.push(words);
        }
        let taken = batch.take();
        let found: Vec<Vec<&[u8]>> =
            commands(taken.wire()).map(|command| arguments(command).collect()).collect();
        assert_eq!(found, [vec![&b"A"[..]], vec![b"B", b"*1\r\n$1\r\nx"], vec![b"C", b"", b"2"]]);
        assert_eq!((commands(b"").count(), commands(b"+OK\r\n").count()), (0, 0));
    }
}
