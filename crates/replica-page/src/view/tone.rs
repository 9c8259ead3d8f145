//! How something is, at a glance.

/// How something is, at a glance. The order is that of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tone {
    /// All right.
    Good,
    /// On its way.
    Busy,
    /// Nothing happens.
    Off,
    /// A person should look at it.
    Warn,
    /// A person has to act.
    Bad,
}

impl Tone {
    /// Whether a person should look.
    pub(crate) fn is_trouble(self) -> bool {
        self >= Self::Warn
    }

    /// Its name in the style sheet.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}
