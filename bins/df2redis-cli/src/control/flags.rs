//! Flags of the API of a running replication, and of what it does beside it.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

/// Where a run is asked, and who may. They are settings of the configuration file too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct ControlFlags {
    /// Path of the socket by which a run is asked what it is doing, and told what to do; only its owner may use it. Other
    /// commands find a run by it, or by http://host:port [default: control.sock in the state directory].
    #[arg(long, value_name = "PATH|URL")]
    pub control: Option<String>,
    /// Address at which the same API is served over HTTP, such as 127.0.0.1:8080 [default: none].
    #[arg(long, value_name = "ADDRESS")]
    pub control_addr: Option<String>,
    /// Address of the page that shows the run, with its metrics and the API; empty for none. If the default is taken by another
    /// run, there is a warning and no page [default: 127.0.0.1:9379, or where --control-addr serves the API].
    #[arg(long, value_name = "ADDRESS")]
    pub dashboard_addr: Option<String>,
    /// Seconds that the target may be behind while /readyz says that the run is ready [default: 10].
    #[arg(long, value_name = "SECONDS")]
    pub ready_lag: Option<u64>,
    /// File with the token that requests over HTTP need to change something, and to read from another host [default: none,
    /// nothing can be changed over HTTP].
    #[arg(long, value_name = "FILE")]
    pub control_token_file: Option<PathBuf>,
    /// Compare this many keys a second with the source, again and again, and refetch those that differ. Each costs both sides
    /// the reading of its value [default: none].
    #[arg(long, value_name = "KEYS")]
    pub verify_continuously: Option<u64>,
}
