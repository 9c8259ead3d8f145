//! Glob patterns over bytes, as `KEYS` and `SCAN` accept them (Redis `util.c`, `stringmatchlen`).

/// A pattern for keys: `*`, `?`, `[a-z]`, `[^a]`, and `\\` before a literal character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Vec<u8>);

/// The pattern, escaped where it is not printable.
impl std::fmt::Display for Glob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl Glob {
    /// Creates a pattern. Any bytes are valid.
    pub fn new(pattern: impl Into<Vec<u8>>) -> Self {
        Self(pattern.into())
    }

    /// Whether `text` matches. Takes at most as many steps as the product of both lengths.
    pub fn matches(&self, text: &[u8]) -> bool {
        matches(&self.0, text)
    }
}

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    // Where to continue if the part after the last star does not match.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some((b'*', rest)) = pattern.split_first() {
            pattern = rest;
            retry = Some((rest, text));
        } else if pattern.is_empty() && text.is_empty() {
            return true;
        } else if let Some((next_pattern, next_text)) = one(pattern, text) {
            (pattern, text) = (next_pattern, next_text);
        } else {
            let Some((after_star, from)) = retry else { return false };
            let Some((_, later)) = from.split_first() else { return false };
            (pattern, text) = (after_star, later);
            retry = Some((after_star, later));
        }
    }
}

/// The rest of both, if the next part of the pattern matches the next byte.
fn one<'p, 't>(pattern: &'p [u8], text: &'t [u8]) -> Option<(&'p [u8], &'t [u8])> {
    let (&byte, text) = text.split_first()?;
    let (fits, rest) = match pattern {
        [b'?', rest @ ..] => (true, rest),
        [b'[', rest @ ..] => class(rest, byte),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (*literal == byte, rest),
        [] => return None,
    };
    fits.then_some((rest, text))
}

/// Matches a class, given without its opening bracket. An unclosed class ends with the pattern.
fn class(pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    let (negated, mut rest) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut found = false;
    loop {
        rest = match rest {
            [] => return (found != negated, rest),
            [b']', rest @ ..] => return (found != negated, rest),
            [b'\\', literal, rest @ ..] => {
                found |= *literal == byte;
                rest
            }
            [a, b'-', b, rest @ ..] => {
                found |= (*a.min(b)..=*a.max(b)).contains(&byte);
                rest
            }
            [literal, rest @ ..] => {
                found |= *literal == byte;
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abcb", false),
            ("*b*b*", "abab", true),
            ("**", "x", true),
            ("a?c", "abc", true),
            ("a?", "a", false),
            ("h[ae]llo", "hallo", true),
            ("h[^ae]llo", "hallo", false),
            ("h[^ae]llo", "hillo", true),
            ("[a-c]", "b", true),
            ("[c-a]", "b", true),
            ("[a-c]", "d", false),
            ("[\\]]", "]", true),
            ("[abc", "c", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("user:*:name", "user:1:2:name", true),
            ("user:*:name", "user:name", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), fits, "{pattern} {text}");
        }
        assert!(matches(b"\xff*", b"\xff\0\n"), "any bytes");
    }

    /// A pattern for which a backtracking matcher needs hours.
    #[test]
    fn many_stars() {
        let text = vec![b'a'; 20_000];
        assert!(!matches("*a".repeat(50).as_bytes(), &[&text[..], b"b"].concat()));
    }
}
