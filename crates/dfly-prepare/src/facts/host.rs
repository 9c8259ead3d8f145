//! This host: the disk under the state directory.

use std::path::{Path, PathBuf};

/// What is known of this host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostFacts {
    /// The state directory, if the settings name one.
    pub state_dir: Option<PathBuf>,
    /// Bytes that are free on its disk.
    pub free_bytes: Option<u64>,
    /// Why the directory cannot be used.
    pub failure: Option<String>,
}

/// Looks at the disk. It creates nothing: a state directory that does not exist yet is made by a run.
pub(crate) fn host_facts(state_dir: Option<&Path>) -> HostFacts {
    let Some(dir) = state_dir else { return HostFacts::default() };
    let there = dir.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("."));
    let (free_bytes, failure) = match rustix::fs::statvfs(there) {
        Ok(disk) => (Some(disk.f_bavail.saturating_mul(disk.f_frsize)), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let failure =
        failure.or_else(|| (!there.is_dir()).then(|| format!("{} is no directory", there.display())));
    let is_writable = rustix::fs::access(there, rustix::fs::Access::WRITE_OK);
    let failure = failure.or_else(|| is_writable.err().map(|error| error.to_string()));
    HostFacts { state_dir: Some(dir.to_owned()), free_bytes, failure }
}
