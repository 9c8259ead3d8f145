//! Where a command is in the table: a hash table with open addressing, built once. Every record is looked up.

use std::sync::LazyLock;

use super::{CommandSpec, specs};

/// Some eight times as many places as there are commands, so that most names are found at the first look.
const PLACES: usize = 1024;

static TABLE: LazyLock<[Option<&'static CommandSpec>; PLACES]> = LazyLock::new(|| {
    let mut table = [None; PLACES];
    for spec in specs() {
        let free = probes(spec.name.as_bytes()).find(|at| table.get(*at).is_some_and(Option::is_none));
        if let Some(place) = free.and_then(|at| table.get_mut(at)) {
            *place = Some(spec);
        }
    }
    table
});

pub(super) fn of(name: &[u8]) -> Option<&'static CommandSpec> {
    let table = &*TABLE;
    probes(name).map_while(|at| table.get(at).copied().flatten()).find(|spec| spec.name.as_bytes() == name)
}

/// The places in which a name is looked for, one after the other.
fn probes(name: &[u8]) -> impl Iterator<Item = usize> {
    let first = hash(name);
    (0..PLACES).map(move |step| (first + step) % PLACES)
}

/// FNV-1a of the length and of four bytes, which tell almost all names apart.
fn hash(name: &[u8]) -> usize {
    let byte = |at: usize| name.get(at).copied().map_or(0, usize::from);
    let mix = |hash: usize, more: usize| (hash ^ more).wrapping_mul(0x0100_0193);
    let (half, last) = (name.len() / 2, name.len().saturating_sub(1));
    let mixed = [byte(0), byte(1), byte(half), byte(last)].into_iter().fold(name.len(), mix);
    (mixed >> 8) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A poor hash would be slow, and nothing else.
    #[test]
    fn most_names_are_found_at_the_first_look() {
        let looks = |spec: &CommandSpec| {
            let is_there = |at: usize| TABLE[at].is_some_and(|found| found.name == spec.name);
            probes(spec.name.as_bytes()).position(is_there).unwrap() + 1
        };
        let (names, all) = (specs().len(), specs().iter().map(looks).sum::<usize>());
        assert!(all * 10 <= names * 12, "{all} looks for {names} names");
        assert_eq!(of(b""), None);
    }
}
