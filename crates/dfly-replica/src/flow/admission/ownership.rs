//! Which keys are the flow's own. PFMERGE leaves copies of its result on flows that do not own the key (protocol section
//! 3.10); the way in which the source spreads its keys tells them apart. Pure.

use dfly_client::FlowId;

use crate::keys::RecordKeys;
use crate::source::sharding::{OwnerCheck, Sharding};

/// What a HyperLogLog begins with.
const HYLL: &[u8] = b"HYLL";

/// How the source spreads its keys, as far as this flow has seen it.
#[derive(Debug)]
pub(crate) struct Ownership {
    flow: FlowId,
    flows: u16,
    check: OwnerCheck,
    sharding: Option<Sharding>,
}

impl Ownership {
    /// Of one flow of `flows`; `sharding` if a session before has found out.
    pub(crate) fn new(flow: FlowId, flows: u16, sharding: Option<Sharding>) -> Self {
        Self { flow, flows, check: OwnerCheck::default(), sharding }
    }

    /// The formula, once only one fits and enough keys were seen.
    pub(crate) fn sharding(&self) -> Option<Sharding> {
        self.sharding
    }

    /// What this flow has seen.
    pub(crate) fn check(&self) -> &OwnerCheck {
        &self.check
    }

    /// A key of the snapshot came on this flow.
    pub(crate) fn see_value(&mut self, name: &[u8]) {
        self.check.see(name, self.flow, self.flows);
    }

    /// The snapshot is complete.
    pub(crate) fn conclude(&mut self) {
        self.sharding = self.check.certain();
    }

    /// Where the snapshot had too few keys to show how the source spreads them, those of the journal tell.
    pub(crate) fn see_record(&mut self, record: &RecordKeys<'_>) {
        if self.sharding.is_some() || self.flows <= 1 || self.check.is_sated() {
            return;
        }
        if let [key] = record.all() {
            self.check.see(&key.name, self.flow, self.flows);
            self.sharding = self.check.certain();
        }
    }

    fn is_foreign(&self, name: &[u8]) -> bool {
        match self.sharding {
            Some(sharding) => sharding.owner(name, self.flows) != self.flow,
            None => self.check.is_foreign(name, self.flow, self.flows),
        }
    }

    /// Whether the flow may own a key of this name.
    pub(crate) fn may_own(&self, name: &[u8]) -> bool {
        !self.is_foreign(name)
    }

    /// Whether a value of the snapshot is a copy. `head` is the beginning of its payload.
    pub(crate) fn is_copied_value(&mut self, name: &[u8], head: &[u8]) -> bool {
        if memchr::memmem::find(head, HYLL).is_some() {
            return self.is_foreign(name);
        }
        self.see_value(name);
        false
    }

    /// Whether a record writes a copy; `None` if it is no record that could.
    pub(crate) fn is_copied_record(&self, record: &RecordKeys<'_>) -> Option<bool> {
        let args = &record.command.args;
        let is_set = args.len() == 3 && args.name() == b"SET";
        if !is_set || !args.get(2).is_some_and(|value| value.starts_with(HYLL)) {
            return None;
        }
        Some(self.is_foreign(args.get(1).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_told_apart_by_the_formula() {
        let names: Vec<String> = (0..2000).map(|n| format!("key:{{{}}}:{n}", n % 700)).collect();
        let owner = |name: &str| Sharding::Key.owner(name.as_bytes(), 2);
        let (own, foreign): (Vec<&String>, Vec<&String>) =
            names.iter().partition(|name| owner(name) == FlowId(1));
        let mut ownership = Ownership::new(FlowId(1), 2, None);
        for name in own.iter().take(300) {
            assert!(!ownership.is_copied_value(name.as_bytes(), b"plain"));
        }
        ownership.conclude();
        assert_eq!(ownership.sharding(), Some(Sharding::Key));
        assert!(ownership.is_copied_value(foreign[0].as_bytes(), b"\x05HYLL"));
        assert!(!ownership.is_copied_value(own[301].as_bytes(), b"\x05HYLL"));
    }
}
