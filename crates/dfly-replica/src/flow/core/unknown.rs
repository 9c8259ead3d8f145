//! Commands that no table has: each is told once by its name, whatever the policy, because it may be a flush.

use std::collections::BTreeSet;

use dfly_client::FlowId;
use tracing::warn;

/// The most names that are remembered. Others are counted only.
const MOST: usize = 64;

/// The names that were told.
#[derive(Debug, Default)]
pub(super) struct UnknownCommands(BTreeSet<Vec<u8>>);

impl UnknownCommands {
    /// What the command has done to its keys is read from the source.
    pub(super) fn tell_refetched(&mut self, flow: FlowId, name: &[u8]) {
        if self.is_new(name) {
            let command = name.escape_ascii();
            warn!(flow = flow.0, %command, "unknown command: its arguments that may be keys are refetched; an alias says what it stands for");
        }
    }

    /// What the command has done cannot be found out.
    pub(super) fn tell_lost(&mut self, flow: FlowId, name: &[u8]) {
        if self.is_new(name) {
            let command = name.escape_ascii();
            warn!(flow = flow.0, %command, "unknown command without a key: it is left out and counted, and if it is a flush, the target keeps what the source has lost; an alias says what it stands for");
        }
    }

    fn is_new(&mut self, name: &[u8]) -> bool {
        self.0.len() < MOST && !self.0.contains(name) && self.0.insert(name.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C43: a name is told once, and no number of names takes more memory.
    #[test]
    fn names_are_told_once() {
        let mut unknown = UnknownCommands::default();
        assert!(unknown.is_new(b"___SET") && !unknown.is_new(b"___SET") && unknown.is_new(b"___DEL"));
        let told = (0..1000).filter(|n: &u32| unknown.is_new(&n.to_be_bytes())).count();
        assert_eq!(told, MOST - 2);
    }
}
