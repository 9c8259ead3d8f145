//! Why it is safe to switch.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Verified {
    /// Keys that were compared in step, and are equal.
    pub equal: u64,
    /// Keys that differed, were refetched, and are equal since.
    pub repaired: u64,
}

/// Why it is safe to switch. Positions are the next record of each flow.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Evidence {
    /// Where the source stood while it took no writes.
    pub source: Vec<u64>,
    /// What was compared; `None`: nothing was to be.
    pub verified: Option<Verified>,
    /// How long writes had been stopped when it was safe, in milliseconds; `None` if somebody else stopped them.
    pub stopped_for: Option<u64>,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let positions: Vec<String> = self.source.iter().map(u64::to_string).collect();
        write!(f, "the target holds everything before {}", positions.join(", "))?;
        match self.verified {
            Some(Verified { equal, repaired: 0 }) => write!(f, "; {equal} keys were compared and are equal")?,
            Some(Verified { equal, repaired }) => {
                write!(f, "; {equal} keys were compared and are equal, {repaired} of them behind a repair")?;
            }
            None => f.write_str("; nothing was compared")?,
        }
        match self.stopped_for {
            Some(millis) => write!(f, "; writes have been stopped for {millis} ms"),
            None => Ok(()),
        }
    }
}
