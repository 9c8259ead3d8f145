//! `migrate --dry-run`: everything up to the first write.

use std::io::Write;

use dfly_replica::{Begins, EngineConfig, OnStart, Rehearsal};
use serde_json::json;

use super::flags::MigrateFormat;
use crate::exit::Failure;

pub(super) async fn show(config: &EngineConfig, format: MigrateFormat) -> Result<(), Failure> {
    let found = Rehearsal::of(config).await?;
    let mut out = std::io::stdout().lock();
    let told = match format {
        MigrateFormat::Text => text(&found, &config.target.to_string()),
        MigrateFormat::Json => format!("{}\n", json_of(&found, &config.target.to_string())),
    };
    out.write_all(told.as_bytes()).and_then(|()| out.flush()).map_err(Failure::of_output)
}

fn begins(begins: Begins) -> (&'static str, &'static str) {
    match begins {
        Begins::Resume => ("resume", "goes on from the positions that the target holds"),
        Begins::Empty => ("full", "a full synchronisation into an empty target"),
        Begins::Anew => ("anew", "a full synchronisation over what a run before has left"),
        Begins::Over(OnStart::Merge) => {
            ("merge", "a full synchronisation; keys that only the target has stay")
        }
        Begins::Over(OnStart::Mirror) => {
            ("mirror", "a full synchronisation; keys that only the target has are removed at its end")
        }
        Begins::Over(OnStart::Flush) => ("flush", "the target is emptied, then a full synchronisation"),
        Begins::Over(OnStart::RequireEmpty) => ("refuse", "nothing: the target holds keys"),
    }
}

fn text(found: &Rehearsal, target: &str) -> String {
    let keys = found.source_keys.map_or("keys not told".to_owned(), |keys| format!("{keys} keys"));
    let kind = if found.is_cluster { "cluster" } else { "single server" };
    format!(
        "source          {}, {}, {} flows, {keys}\ntarget          {target}, {kind}, {} keys\nwould begin     {}\nNothing was written. Every check of a start has passed.\n",
        found.source,
        release(found),
        found.flows,
        found.target_keys,
        begins(found.begins).1,
    )
}

fn release(found: &Rehearsal) -> String {
    if found.release.is_empty() { "release not told".to_owned() } else { found.release.clone() }
}

fn json_of(found: &Rehearsal, target: &str) -> serde_json::Value {
    json!({
        "source": found.source,
        "release": found.release,
        "flows": found.flows,
        "source-keys": found.source_keys,
        "target": target,
        "is-cluster": found.is_cluster,
        "target-keys": found.target_keys,
        "begins": begins(found.begins).0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_done() {
        let found = Rehearsal {
            source: "db:6379".to_owned(),
            release: "df-v1.40.1".to_owned(),
            source_id: "a".repeat(40),
            flows: 4,
            source_keys: Some(1200),
            is_cluster: false,
            target_keys: 0,
            begins: Begins::Empty,
        };
        let expected = "\
source          db:6379, df-v1.40.1, 4 flows, 1200 keys
target          new:6379, single server, 0 keys
would begin     a full synchronisation into an empty target
Nothing was written. Every check of a start has passed.
";
        assert_eq!(text(&found, "new:6379"), expected);
        assert_eq!(json_of(&found, "new:6379")["begins"], "full");
    }
}
