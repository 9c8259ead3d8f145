//! The name of a task. Several tasks may write to one target.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The maximum length of a task's name, in characters.
const LONGEST: usize = 64;

/// A task's name, which is part of its reserved names. The name of the unnamed task is empty.
///
/// It consists of printable ASCII without white space, `:`, `@`, `{` and `}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TaskName(String);

/// Why a text is not a valid task name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TaskNameError {
    /// It contains a character that is not allowed.
    #[error(
        "the task name \"{name}\" holds '{character}'; allowed are printable ASCII characters except white space, ':', '@', '{{' and '}}'"
    )]
    Character {
        /// The text, escaped.
        name: String,
        /// The character, escaped.
        character: String,
    },
    /// It is too long.
    #[error("the task name \"{name}\" has {len} characters; at most {LONGEST} are allowed")]
    TooLong {
        /// The text.
        name: String,
        /// Its length.
        len: usize,
    },
}

impl TaskName {
    /// # Errors
    /// [`TaskNameError`]: the text contains a character that is not allowed, or is longer than 64 characters.
    pub fn new(name: impl Into<String>) -> Result<Self, TaskNameError> {
        let name = name.into();
        if let Some(character) = name.chars().find(|character| !is_allowed(*character)) {
            let character = character.escape_debug().to_string();
            return Err(TaskNameError::Character { name: name.escape_debug().to_string(), character });
        }
        match name.len() {
            len if len > LONGEST => Err(TaskNameError::TooLong { name, len }),
            _ => Ok(Self(name)),
        }
    }

    /// Whether `text` is a valid task name.
    pub(super) fn is_name(text: &str) -> bool {
        text.len() <= LONGEST && text.chars().all(is_allowed)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the task is unnamed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn is_allowed(character: char) -> bool {
    character.is_ascii_graphic() && !matches!(character, ':' | '@' | '{' | '}')
}

impl FromStr for TaskName {
    type Err = TaskNameError;

    fn from_str(name: &str) -> Result<Self, TaskNameError> {
        Self::new(name)
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowed() {
        for name in ["", "a", "orders-eu_2.1", "A/b*?[x]", &"x".repeat(64)] {
            assert_eq!(TaskName::new(name).unwrap().as_str(), name);
        }
        assert!(TaskName::default().is_empty());
    }

    #[test]
    fn not_allowed() {
        for (name, character) in [
            ("a:b", ":"),
            ("a@b", "@"),
            ("{a", "{"),
            ("a}", "}"),
            ("a b", " "),
            ("a\n", "\\n"),
            ("\u{7f}", "\\u{7f}"),
            ("ä", "ä"),
        ] {
            let error = name.parse::<TaskName>().unwrap_err();
            assert!(
                matches!(&error, TaskNameError::Character { character: found, .. } if found == character),
                "{error}"
            );
        }
        assert_eq!(
            TaskName::new("a:b").unwrap_err().to_string(),
            "the task name \"a:b\" holds ':'; allowed are printable ASCII characters except white space, ':', '@', '{' and '}'"
        );
        let long = "x".repeat(65);
        assert_eq!(
            TaskName::new(long.as_str()).unwrap_err().to_string(),
            format!("the task name \"{long}\" has 65 characters; at most 64 are allowed")
        );
    }
}
