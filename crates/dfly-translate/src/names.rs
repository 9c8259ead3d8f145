//! Names that belong to the tool: the names of its keys on the target, of its connections and of tasks.

mod reserved;
mod task;

pub use reserved::ReservedNames;
pub use task::{TaskName, TaskNameError};

/// The name of the tool. Every reserved name begins with it.
pub(crate) const TOOL: &str = "df2redis";
