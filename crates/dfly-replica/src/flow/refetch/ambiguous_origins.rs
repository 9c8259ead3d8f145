//! Where rules overlap, a key of the target may come from several keys of the source, and nothing tells from which. All of
//! them are refetched. If one exists, or has a record meanwhile, the target holds its value. If none exists, nothing may be
//! left under the target's name. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::keys::{SourceKey, TargetKey};

/// The keys of the source that are refetched although another one may be meant.
#[derive(Debug, Default)]
pub(crate) struct AmbiguousOrigins {
    /// Each with the target's key that may come from it.
    targets: BTreeMap<SourceKey, TargetKey>,
    groups: BTreeMap<TargetKey, Group>,
}

#[derive(Debug, Default)]
struct Group {
    pending: BTreeSet<SourceKey>,
    /// The target's key comes from one of them for certain.
    is_certain: bool,
}

/// What becomes of the target's key once one of its origins was read, and does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The key is not ambiguous: it is removed.
    Unambiguous,
    /// Another origin decides, or has decided.
    Left,
    /// None of the origins exists: nothing is left under the target's name.
    Nothing,
}

impl AmbiguousOrigins {
    pub(crate) fn contains(&self, origin: &SourceKey) -> bool {
        self.targets.contains_key(origin)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// `target` may come from `origin`. True if that is new.
    pub(crate) fn insert(&mut self, target: &TargetKey, origin: SourceKey) -> bool {
        self.groups.entry(target.clone()).or_default().pending.insert(origin.clone());
        self.targets.insert(origin, target.clone()).is_none()
    }

    /// All origins of `target` are refetched from now on; one of them may be certain.
    pub(crate) fn begin(&mut self, target: &TargetKey, is_certain: bool) {
        if let Some(group) = self.groups.get_mut(target) {
            group.is_certain = is_certain;
        }
    }

    /// An origin of `target` has a record, or is refetched for certain.
    pub(crate) fn confirm(&mut self, target: &TargetKey) {
        if let Some(group) = self.groups.get_mut(target) {
            group.is_certain = true;
        }
    }

    /// `origin` exists, or is refetched for certain. True if it was ambiguous.
    pub(crate) fn settle(&mut self, origin: &SourceKey) -> bool {
        let target = self.targets.remove(origin);
        if let Some(target) = &target {
            self.confirm(target);
            self.leave(target, origin);
        }
        target.is_some()
    }

    /// `origin` was read, and does not exist.
    pub(crate) fn miss(&mut self, origin: &SourceKey) -> Missing {
        let Some(target) = self.targets.remove(origin) else { return Missing::Unambiguous };
        match self.leave(&target, origin) {
            Some(Group { is_certain: false, .. }) => Missing::Nothing,
            _ => Missing::Left,
        }
    }

    /// Gives the group if `origin` was the last of it.
    fn leave(&mut self, target: &TargetKey, origin: &SourceKey) -> Option<Group> {
        let group = self.groups.get_mut(target)?;
        group.pending.remove(origin);
        if group.pending.is_empty() { self.groups.remove(target) } else { None }
    }

    /// Forgets the origins for which `goes` holds.
    pub(crate) fn clear(&mut self, goes: impl Fn(&SourceKey) -> bool) {
        for origin in self.targets.keys().filter(|origin| goes(origin)).cloned().collect::<Vec<_>>() {
            self.settle(&origin);
        }
    }
}

#[cfg(test)]
mod tests {
    use dfly_wire::DbIndex;

    use super::*;

    fn origin(name: &'static str) -> SourceKey {
        SourceKey::new(DbIndex(0), name)
    }

    fn target() -> TargetKey {
        TargetKey::new(DbIndex(0), "t")
    }

    fn two() -> AmbiguousOrigins {
        let mut origins = AmbiguousOrigins::default();
        assert!(origins.insert(&target(), origin("a")) && origins.insert(&target(), origin("b")));
        assert!(!origins.insert(&target(), origin("a")));
        origins
    }

    #[test]
    fn nothing_is_left_where_none_exists() {
        let mut origins = two();
        assert_eq!(origins.miss(&origin("a")), Missing::Left);
        assert_eq!(origins.miss(&origin("b")), Missing::Nothing);
        assert_eq!(origins.miss(&origin("b")), Missing::Unambiguous);
        assert!(origins.is_empty());
    }

    #[test]
    fn one_that_exists_or_has_a_record_keeps_its_value() {
        let mut origins = two();
        assert!(origins.settle(&origin("a")));
        assert_eq!(origins.miss(&origin("b")), Missing::Left);
        let mut origins = two();
        assert_eq!(origins.miss(&origin("a")), Missing::Left);
        origins.confirm(&target());
        assert_eq!(origins.miss(&origin("b")), Missing::Left);
        let mut origins = two();
        origins.clear(|_| true);
        assert!(origins.is_empty() && !origins.contains(&origin("a")));
    }
}
