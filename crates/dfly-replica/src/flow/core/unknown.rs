//! Commands that no table has. Each name is logged once, whatever the policy, because the command may be a flush.

use std::collections::BTreeSet;

use dfly_client::FlowId;
use tracing::warn;

/// The most names that are remembered. Further ones are only counted.
const MOST: usize = 64;

/// The names that were logged.
#[derive(Debug, Default)]
pub(super) struct UnknownCommands(BTreeSet<Vec<u8>>);

impl UnknownCommands {
    /// What the command has done to its keys is read from the source.
    pub(super) fn log_refetched(&mut self, flow: FlowId, name: &[u8]) {
        if self.is_new(name) {
            let command = name.escape_ascii();
            warn!(flow = flow.0, %command, "unknown command: its arguments that may be keys are refetched; an alias says what it stands for");
        }
    }

    /// What the command has done cannot be found out.
    pub(super) fn log_lost(&mut self, flow: FlowId, name: &[u8]) {
        if self.is_new(name) {
            let command = name.escape_ascii();
            warn!(flow = flow.0, %command, "unknown command without a key: it is left out and counted; if it is a flush, the target keeps what the source has deleted; an alias says what it stands for");
        }
    }

    fn is_new(&mut self, name: &[u8]) -> bool {
        self.0.len() < MOST && !self.0.contains(name) && self.0.insert(name.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C43: a name is logged once, and no number of names takes more memory.
    #[test]
    fn names_are_logged_once() {
        let mut unknown = UnknownCommands::default();
        assert!(unknown.is_new(b"___SET") && !unknown.is_new(b"___SET") && unknown.is_new(b"___DEL"));
        let logged = (0..1000).filter(|n: &u32| unknown.is_new(&n.to_be_bytes())).count();
        assert_eq!(logged, MOST - 2);
    }
}
