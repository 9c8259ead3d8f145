//! Where rules overlap, a key of the target may come from several keys of the source, and it is not known which was meant.
//! All of them are read again. If one is there, or has a record meanwhile, it is its value that the target holds; if none is,
//! nothing may be left under the target's name. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::reread::Place;

/// The keys of the source that are guesses, by the key of the target that they may stand for.
#[derive(Debug, Default)]
pub(crate) struct Guesses {
    /// With the target's key that each may stand for.
    places: BTreeMap<Place, Place>,
    groups: BTreeMap<Place, Group>,
}

#[derive(Debug, Default)]
struct Group {
    pending: BTreeSet<Place>,
    /// It is known that one of them is meant.
    meant: bool,
}

/// What becomes of the target's key once a guess was read, and is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It was no guess.
    Certain,
    /// Another one decides, or has.
    Left,
    /// It was the last one: nothing is left under that name.
    Nothing,
}

impl Guesses {
    pub(crate) fn contains(&self, place: &Place) -> bool {
        self.places.contains_key(place)
    }

    /// `place` may be what `target` stands for; tells whether that is new.
    pub(crate) fn insert(&mut self, target: &Place, place: Place) -> bool {
        self.groups.entry(target.clone()).or_default().pending.insert(place.clone());
        self.places.insert(place, target.clone()).is_none()
    }

    /// All that `target` may stand for is read from now on; one of it may be wanted for certain.
    pub(crate) fn ask(&mut self, target: &Place, is_meant: bool) {
        if let Some(group) = self.groups.get_mut(target) {
            group.meant = is_meant;
        }
    }

    /// What `target` stands for has a record, or is wanted for certain.
    pub(crate) fn mean(&mut self, target: &Place) {
        if let Some(group) = self.groups.get_mut(target) {
            group.meant = true;
        }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// It is wanted for certain, or is there; tells whether it was a guess.
    pub(crate) fn remove(&mut self, place: &Place) -> bool {
        let target = self.places.remove(place);
        if let Some(target) = &target {
            self.mean(target);
            self.settle(target, place);
        }
        target.is_some()
    }

    /// It was read, and is not there.
    pub(crate) fn miss(&mut self, place: &Place) -> Missing {
        let Some(target) = self.places.remove(place) else { return Missing::Certain };
        match self.settle(&target, place) {
            Some(Group { meant: false, .. }) => Missing::Nothing,
            _ => Missing::Left,
        }
    }

    /// One less; gives the group if that was its last.
    fn settle(&mut self, target: &Place, place: &Place) -> Option<Group> {
        let group = self.groups.get_mut(target)?;
        group.pending.remove(place);
        if group.pending.is_empty() { self.groups.remove(target) } else { None }
    }

    /// The target's keys that are in question.
    pub(crate) fn targets(&self) -> Vec<Place> {
        self.groups.keys().cloned().collect()
    }

    /// Forgets those for which `goes` holds.
    pub(crate) fn clear(&mut self, goes: impl Fn(&Place) -> bool) {
        for place in self.places.keys().filter(|place| goes(place)).cloned().collect::<Vec<_>>() {
            self.remove(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use dfly_wire::DbIndex;

    use super::*;

    fn place(key: &'static str) -> Place {
        (DbIndex(0), key.into())
    }

    fn two() -> Guesses {
        let mut guesses = Guesses::default();
        assert!(guesses.insert(&place("t"), place("a")) && guesses.insert(&place("t"), place("b")));
        assert!(!guesses.insert(&place("t"), place("a")));
        guesses
    }

    #[test]
    fn nothing_is_left_where_none_is_there() {
        let mut guesses = two();
        assert_eq!(guesses.miss(&place("a")), Missing::Left);
        assert_eq!(guesses.miss(&place("b")), Missing::Nothing);
        assert_eq!(guesses.miss(&place("b")), Missing::Certain);
        assert!(guesses.is_empty());
    }

    #[test]
    fn one_that_is_there_or_has_a_record_keeps_its_value() {
        let mut guesses = two();
        assert!(guesses.remove(&place("a")));
        assert_eq!(guesses.miss(&place("b")), Missing::Left);
        let mut guesses = two();
        assert_eq!(guesses.miss(&place("a")), Missing::Left);
        guesses.mean(&place("t"));
        assert_eq!(guesses.miss(&place("b")), Missing::Left);
        let mut guesses = two();
        guesses.clear(|_| true);
        assert!(guesses.is_empty() && !guesses.contains(&place("a")));
    }
}
