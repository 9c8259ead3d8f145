//! What the bench's runner leaves: a file for each count.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Counts;

const FILE: &str = "summary.json";

/// The counts of all summaries in a folder.
pub(super) fn counts(folder: &Path) -> Result<Counts> {
    let mut counts = Counts::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name == FILE) {
                let (name, count) =
                    count(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())?;
                counts.insert(name, count);
            }
        }
    }
    Ok(counts)
}

/// The name of a bench, and how many instructions callgrind has counted.
fn count(summary: &str) -> Result<(String, u64)> {
    let summary: Value = serde_json::from_str(summary)?;
    let text = |name: &str| summary.get(name).and_then(Value::as_str);
    let function = text("function_name").context("no name")?;
    let name = text("id").map_or_else(|| function.to_owned(), |id| format!("{function}.{id}"));
    let profiles = summary.get("profiles").and_then(Value::as_array).context("no profiles")?;
    let callgrind =
        profiles.iter().find(|profile| profile.get("tool").is_some_and(|tool| tool == "Callgrind"));
    let count = callgrind.and_then(|profile| profile.pointer("/data/total/metrics/Ir/values/new"));
    Ok((name, count.and_then(Value::as_u64).context("no count of instructions")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_that_of_callgrind() {
        let summary = |id: &str| {
            format!(
                r#"{{"function_name": "decode", "id": {id}, "profiles": [
                    {{"tool": "DHAT", "data": {{"total": {{"metrics": {{}}}}}}}},
                    {{"tool": "Callgrind", "data": {{"total": {{"metrics": {{"Ir": {{"values": {{"new": 45283}}}}}}}}}}}}
                ]}}"#
            )
        };
        assert_eq!(count(&summary("\"strings\"")).unwrap(), ("decode.strings".to_owned(), 45283));
        assert_eq!(count(&summary("null")).unwrap(), ("decode".to_owned(), 45283));
        assert!(count(r#"{"function_name": "decode", "profiles": []}"#).is_err());
    }
}
