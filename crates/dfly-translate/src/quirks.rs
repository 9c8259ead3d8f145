//! What the source says otherwise than it does (`docs/source-quirks.md` in the repository), as far as it is decided by the
//! source's release or by the user.

use std::fmt;
use std::str::FromStr;

/// Whether signs are followed that harmless records may have too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quirks {
    /// They are: the target ends equal, and the source is asked for some values without need.
    #[default]
    Faithful,
    /// Only those are that cost the source little. The rest is left to a verification.
    Cheap,
}

impl Quirks {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Faithful => "faithful",
            Self::Cheap => "cheap",
        }
    }
}

impl fmt::Display for Quirks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Quirks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Faithful, Self::Cheap]
            .into_iter()
            .find(|quirks| quirks.name() == text)
            .ok_or_else(|| format!("{text:?} is neither faithful nor cheap"))
    }
}

/// What the source makes of GT and LT of ZADD, in a set of more than 128 members or with one of more than 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZAddBeyond {
    /// It ignores them: v1.40 does (dragonfly#8089).
    Ignored,
    /// It obeys them.
    Obeyed,
    /// Its release is not known, or was not tried.
    #[default]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for quirks in [Quirks::Faithful, Quirks::Cheap] {
            assert_eq!(quirks.to_string().parse(), Ok(quirks));
        }
        let error = "lazy".parse::<Quirks>().unwrap_err();
        assert_eq!(error, "\"lazy\" is neither faithful nor cheap");
    }
}
