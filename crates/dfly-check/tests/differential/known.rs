//! Differences that nothing in the journal shows.

use super::sequence::Sequence;

/// The name of the known difference that a sequence is an example of.
pub(super) fn name(least: &Sequence) -> Option<&'static str> {
    let words: Vec<String> = least
        .lines()
        .flat_map(|line| &line.0)
        .flat_map(|word| word.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').map(str::to_uppercase))
        .collect();
    let has = |wanted: &str| words.iter().any(|word| word == wanted);
    let lines = include_str!("known.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once(' '))
        .find(|(_, wanted)| wanted.split_whitespace().all(has))
        .map(|(name, _)| name)
}
