//! Parses commands as Dragonfly does: a RESP array of bulk strings, or an inline command.

use bytes::{Buf, Bytes, BytesMut};

/// The longest command that is accepted, in bytes.
const LIMIT: usize = 1 << 20;

/// How many bytes a command took, and the command.
type Taken = (usize, Vec<Bytes>);

/// Takes one whole command from `src`. `None` if more bytes are needed. Empty lines are skipped.
pub(crate) fn parse_command(src: &mut BytesMut) -> Result<Option<Vec<Bytes>>, String> {
    loop {
        let taken = match src.first() {
            None => return Ok(None),
            Some(b'*') => array(src)?,
            Some(_) => inline(src),
        };
        match taken {
            None if src.len() > LIMIT => return Err("a command is larger than 1 MiB".to_owned()),
            None => return Ok(None),
            Some((used, words)) => {
                src.advance(used);
                if !words.is_empty() {
                    return Ok(Some(words));
                }
            }
        }
    }
}

fn inline(src: &[u8]) -> Option<Taken> {
    let end = src.iter().position(|b| *b == b'\n')?;
    let words = src.get(..end)?.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    Some((end + 1, words.map(Bytes::copy_from_slice).collect()))
}

fn array(src: &[u8]) -> Result<Option<Taken>, String> {
    let mut at = 0;
    let Some(count) = header(src, &mut at, b'*')? else { return Ok(None) };
    let mut words = Vec::new();
    for _ in 0..count {
        let Some(len) = header(src, &mut at, b'$')? else { return Ok(None) };
        let Some(word) = src.get(at..at + len + 2) else { return Ok(None) };
        let word = word.strip_suffix(b"\r\n").ok_or("a bulk string does not end with CR LF")?;
        words.push(Bytes::copy_from_slice(word));
        at += len + 2;
    }
    Ok(Some((at, words)))
}

/// The number in the `*` or `$` line at `at`. Moves `at` past the line.
fn header(src: &[u8], at: &mut usize, mark: u8) -> Result<Option<usize>, String> {
    let rest = src.get(*at..).unwrap_or_default();
    let Some(end) = rest.windows(2).position(|w| w == b"\r\n") else { return Ok(None) };
    let line = rest.get(..end).unwrap_or_default();
    let number = line.strip_prefix(&[mark]).and_then(|n| std::str::from_utf8(n).ok()?.parse::<usize>().ok());
    *at += end + 2;
    match number {
        Some(number) if number <= LIMIT => Ok(Some(number)),
        _ => Err(format!("not a RESP command: {}", String::from_utf8_lossy(line))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inline_and_arrays_at_every_split() {
        let bytes = b"PING\r\n\r\n*2\r\n$4\r\nAUTH\r\n$5\r\na b\r\n\r\nDFLY  SYNC SYNC1\n";
        for split in 0..=bytes.len() {
            let mut src = BytesMut::from(&bytes[..split]);
            let mut found = Vec::new();
            while let Some(command) = parse_command(&mut src).unwrap() {
                found.push(command);
            }
            src.extend_from_slice(&bytes[split..]);
            while let Some(command) = parse_command(&mut src).unwrap() {
                found.push(command);
            }
            assert_eq!(
                found,
                [vec!["PING"], vec!["AUTH", "a b\r\n"], vec!["DFLY", "SYNC", "SYNC1"]],
                "{split}"
            );
            assert!(src.is_empty());
        }
    }

    #[test]
    fn what_is_no_command() {
        for bytes in [&b"*x\r\n"[..], b"*1\r\n+OK\r\n", b"*1\r\n$99999999\r\n", b"*1\r\n$1\r\nabc"] {
            assert!(parse_command(&mut BytesMut::from(bytes)).is_err(), "{bytes:?}");
        }
    }
}
