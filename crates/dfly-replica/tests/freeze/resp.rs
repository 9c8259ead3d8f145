//! Commands as the engine must send them: RESP arrays of bulk strings in their shortest form. Anything else stops the test, so
//! that a list of commands stands for the exact bytes.

use bytes::{Buf, Bytes, BytesMut};

/// A command's name and its arguments.
pub(crate) type Command = Vec<Bytes>;

/// Takes the next whole command; none if more bytes are needed.
pub(crate) fn take(buffer: &mut BytesMut) -> Option<Command> {
    let mut at = 0;
    let count = number(buffer, &mut at, b'*')?;
    let mut command = Vec::with_capacity(count);
    for _ in 0..count {
        let len = number(buffer, &mut at, b'$')?;
        let word = buffer.get(at..at + len + 2)?;
        assert!(word.ends_with(b"\r\n"), "a bulk string without its end");
        command.push(Bytes::copy_from_slice(&word[..len]));
        at += len + 2;
    }
    buffer.advance(at);
    Some(command)
}

fn number(buffer: &[u8], at: &mut usize, mark: u8) -> Option<usize> {
    let rest = &buffer[*at..];
    let end = rest.iter().position(|byte| *byte == b'\n')? + 1;
    let line = std::str::from_utf8(&rest[..end]).unwrap();
    let digits = line.strip_prefix(char::from(mark)).and_then(|line| line.strip_suffix("\r\n"));
    let number: usize = digits.unwrap_or_else(|| panic!("no RESP command: {line:?}")).parse().unwrap();
    assert_eq!(line, format!("{}{number}\r\n", char::from(mark)), "a number in another form");
    *at += end;
    Some(number)
}

/// Whether a command begins with these words.
pub(crate) fn begins(command: &[Bytes], words: &[&str]) -> bool {
    command.len() >= words.len() && command.iter().zip(words).all(|(word, wanted)| word == wanted)
}

/// Replies.
pub(crate) mod reply {
    use bytes::Bytes;

    pub(crate) fn ok() -> Vec<u8> {
        b"+OK\r\n".to_vec()
    }

    pub(crate) fn simple(text: &str) -> Vec<u8> {
        format!("+{text}\r\n").into_bytes()
    }

    pub(crate) fn error(text: &str) -> Vec<u8> {
        format!("-{text}\r\n").into_bytes()
    }

    pub(crate) fn nil() -> Vec<u8> {
        b"$-1\r\n".to_vec()
    }

    pub(crate) fn int(number: usize) -> Vec<u8> {
        format!(":{number}\r\n").into_bytes()
    }

    pub(crate) fn bulk(text: impl AsRef<[u8]>) -> Vec<u8> {
        let text = text.as_ref();
        [format!("${}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat()
    }

    pub(crate) fn optional(text: Option<&Bytes>) -> Vec<u8> {
        text.map_or_else(nil, bulk)
    }

    pub(crate) fn array(parts: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
        let parts: Vec<Vec<u8>> = parts.into_iter().collect();
        [format!("*{}\r\n", parts.len()).into_bytes(), parts.concat()].concat()
    }
}
