//! What a comparison is doing.

use std::fmt;

use tokio::sync::watch;

/// What it does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stage {
    /// It connects.
    #[default]
    Connecting,
    /// Keys of the source are compared.
    Comparing,
    /// Keys are looked for that only the target has.
    Extra,
    /// It waits before the next round.
    Waiting,
    /// What differs is compared again, in this round.
    Again(u32),
    /// It has ended.
    Done,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => f.write_str("connecting"),
            Self::Comparing => f.write_str("comparing"),
            Self::Extra => f.write_str("looking for extra keys"),
            Self::Waiting => f.write_str("waiting before the next round"),
            Self::Again(round) => write!(f, "round {round}"),
            Self::Done => f.write_str("done"),
        }
    }
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// What it does now.
    pub stage: Stage,
    /// How many keys it has looked at in this stage.
    pub keys: u64,
    /// How many there are, as far as is known.
    pub of: u64,
    /// How many differ so far.
    pub different: u64,
    /// How many could not be compared so far.
    pub not_compared: u64,
}

/// What connects a comparison with whoever started it.
#[derive(Debug, Clone)]
pub struct RunSignals {
    /// Where it tells how far it has come.
    pub progress: watch::Sender<Progress>,
    /// It stops when this holds `true`.
    pub stop: watch::Receiver<bool>,
}
