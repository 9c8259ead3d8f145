//! How much of each key is compared.

use std::str::FromStr;

/// How much of each key is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Mode {
    /// Existence, type and expiry.
    Outline,
    /// The same, and how many elements or bytes there are.
    Length,
    /// Everything, but large values by their lengths and samples.
    Smart,
    /// Everything.
    #[default]
    Full,
}

impl Mode {
    /// Every mode, by its name.
    pub const ALL: [(&'static str, Self); 4] =
        [("outline", Self::Outline), ("length", Self::Length), ("full", Self::Full), ("smart", Self::Smart)];

    /// The name.
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, mode)| *mode == self).map_or("full", |(name, _)| name)
    }

    /// Whether contents are read.
    pub(crate) fn reads_content(self) -> bool {
        matches!(self, Self::Full | Self::Smart)
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|(name, _)| *name == text);
        found
            .map(|(_, mode)| mode)
            .ok_or_else(|| format!("\"{text}\" is not one of {}", Self::ALL.map(|(name, _)| name).join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, mode) in Mode::ALL {
            assert_eq!((name.parse(), mode.name()), (Ok(mode), name));
        }
        assert!("deep".parse::<Mode>().unwrap_err().contains("outline, length, full, smart"));
    }
}
