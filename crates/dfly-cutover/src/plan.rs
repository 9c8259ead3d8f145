//! What a cutover is to do.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How writes are stopped at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// `CLIENT PAUSE ... WRITE`, in short terms that are renewed. Reads go on. Clients of the admin port are not stopped, and
    /// writes that wait are carried out when the pause ends.
    #[default]
    Pause,
    /// `DFLY TAKEOVER`: the source takes no writes any more and shuts down. It cannot be undone.
    Takeover,
    /// Somebody has stopped them already.
    None,
}

/// What is compared before it is safe to switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verify {
    /// The keys that changed last.
    #[default]
    Recent,
    /// All keys, before writes are stopped, and those that changed last behind that.
    Full,
    /// Nothing: positions alone.
    None,
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "pause" => Ok(Self::Pause),
            "takeover" => Ok(Self::Takeover),
            "none" => Ok(Self::None),
            other => Err(format!("\"{other}\" is not one of pause, takeover, none")),
        }
    }
}

impl FromStr for Verify {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "recent" => Ok(Self::Recent),
            "full" => Ok(Self::Full),
            "none" => Ok(Self::None),
            other => Err(format!("\"{other}\" is not one of recent, full, none")),
        }
    }
}

/// What a cutover is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// How writes are stopped.
    pub method: Method,
    /// What is compared.
    pub verify: Verify,
    /// How long writes may be stopped before it is safe; beyond it they go on.
    pub timeout: Duration,
    /// How long a small lag is waited for before writes are stopped.
    pub patience: Duration,
    /// For how long it is noted which keys change, before writes are stopped.
    pub remembered: Duration,
    /// The lag from which on writes are stopped.
    pub small_lag: Duration,
    /// Stops nothing, and says how far the target is.
    pub is_dry: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            method: Method::default(),
            verify: Verify::default(),
            timeout: Duration::from_secs(10),
            patience: Duration::from_secs(60),
            remembered: Duration::from_secs(1),
            small_lag: Duration::from_secs(1),
            is_dry: false,
        }
    }
}
