//! Byte strings as text: escaped or in base64, whole or in parts that may be cut anywhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How byte strings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteForm {
    /// As text. Bytes that are not text, control characters and the backslash are escaped.
    Escaped,
    /// In base64, with padding.
    Base64,
}

impl ByteForm {
    /// The text of `bytes`.
    pub(super) fn text(self, bytes: &[u8]) -> String {
        let mut text = String::new();
        match self {
            Self::Escaped => escape(bytes, &mut text),
            Self::Base64 => STANDARD.encode_string(bytes, &mut text),
        }
        text
    }

    /// Appends `bytes` as a JSON string.
    pub(super) fn json(self, bytes: &[u8], out: &mut Vec<u8>) {
        out.push(b'"');
        json_escape(&self.text(bytes), out);
        out.push(b'"');
    }
}

/// A JSON string whose bytes arrive in parts. The caller writes the quotes.
#[derive(Debug)]
pub(super) struct Parts {
    form: ByteForm,
    /// The start of a character (or of a group of three bytes) that the last part did not complete.
    carry: Vec<u8>,
}

impl Parts {
    pub(super) fn new(form: ByteForm) -> Self {
        Self { form, carry: Vec::new() }
    }

    /// Appends the text of the next part.
    pub(super) fn add(&mut self, part: &[u8], out: &mut Vec<u8>) {
        self.carry.extend_from_slice(part);
        let complete = match self.form {
            ByteForm::Escaped => complete_characters(&self.carry),
            ByteForm::Base64 => self.carry.len() / 3 * 3,
        };
        let rest = self.carry.split_off(complete);
        let whole = std::mem::replace(&mut self.carry, rest);
        json_escape(&self.form.text(&whole), out);
    }

    /// Appends the bytes that were held back.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        let rest = std::mem::take(&mut self.carry);
        json_escape(&self.form.text(&rest), out);
    }
}

/// Number of bytes before a character that is cut at the end.
fn complete_characters(bytes: &[u8]) -> usize {
    for (back, byte) in bytes.iter().rev().take(3).enumerate() {
        let size = match byte {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            0x80..=0xbf => continue,
            _ => 1,
        };
        return if size > back + 1 { bytes.len() - back - 1 } else { bytes.len() };
    }
    bytes.len()
}

fn escape(bytes: &[u8], out: &mut String) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if c.is_control() => c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| escape_byte(b, out)),
                c => out.push(c),
            }
        }
        chunk.invalid().iter().for_each(|&byte| escape_byte(byte, out));
    }
}

fn escape_byte(byte: u8, out: &mut String) {
    out.push_str("\\x");
    for digit in [byte >> 4, byte & 0xf] {
        out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
    }
}

/// Escaped text has no control characters, so JSON requires escapes for only two characters.
fn json_escape(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLES: [(&[u8], &str); 7] = [
        (b"plain text", "plain text"),
        (b"a\\b\n\r\t\0\x7f", "a\\\\b\\n\\r\\t\\x00\\x7f"),
        (b"\xff\xfe", "\\xff\\xfe"),
        ("grün 日本 🦀".as_bytes(), "grün 日本 🦀"),
        (b"cut \xf0\x9f\xa6", "cut \\xf0\\x9f\\xa6"),
        (b"\xc2\x9b", "\\xc2\\x9b"),
        (b"\"quoted\"", "\"quoted\""),
    ];

    #[test]
    fn escapes() {
        for (bytes, text) in SAMPLES {
            assert_eq!(ByteForm::Escaped.text(bytes), text);
        }
    }

    #[test]
    fn parts_make_the_whole_wherever_they_are_cut() {
        for form in [ByteForm::Escaped, ByteForm::Base64] {
            for (bytes, _) in SAMPLES {
                for size in 1..=bytes.len() {
                    let (mut parts, mut out) = (Parts::new(form), b"\"".to_vec());
                    bytes.chunks(size).for_each(|part| parts.add(part, &mut out));
                    parts.end(&mut out);
                    out.push(b'"');
                    let text: String = serde_json::from_slice(&out).unwrap();
                    assert_eq!(text, form.text(bytes), "parts of {size}");
                    let mut whole = Vec::new();
                    form.json(bytes, &mut whole);
                    assert_eq!(whole, out);
                }
            }
        }
    }
}
