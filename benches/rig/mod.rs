//! What measurements of the release binary share: sources, a target, the tool, and what the system says of a process.

pub mod process;
pub mod run;
pub mod source;
pub mod target;
pub mod tool;

/// The middle one of several figures.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
