//! Flags and file together, as the engine takes them.

use std::time::Duration;

use dfly_replica::EngineConfig;
use dfly_translate::Policy;
use redis_resp::connection::Peer;

use crate::address;
use crate::cli::ReplicateFlags;
use crate::config::File;

/// The settings of a run: a flag goes before the file, the file before the default.
pub(crate) fn engine_config(flags: &ReplicateFlags) -> Result<EngineConfig, String> {
    let file = flags.config.as_deref().map_or_else(|| Ok(File::default()), File::load)?;
    let source = flags
        .source
        .clone()
        .or(file.source)
        .ok_or("no source is named: give --source dragonfly://host:port")?;
    let target =
        flags.target.clone().or(file.target).ok_or("no target is named: give --target redis://host:port")?;
    let mut config =
        EngineConfig::new(address::parse(Peer::Source, &source)?, address::parse(Peer::Target, &target)?);
    if let Some(policy) = flags.on_unsupported.clone().or(file.on_unsupported) {
        config.on_unsupported =
            policy.parse::<Policy>().map_err(|error| format!("--on-unsupported: {error}"))?;
    }
    config.force_resync = flags.force_resync;
    config.state_dir = flags.state_dir.clone().or(file.state_dir);
    config.reconnect.give_up_after = flags.give_up_after.or(file.give_up_after).map(Duration::from_secs);
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_go_before_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(
            &path,
            "source = 'dragonfly://file:1'\ntarget = 'redis://file:2'\non-unsupported = 'skip'\n",
        )
        .unwrap();
        let flags = ReplicateFlags {
            config: Some(path),
            source: Some("dragonfly://flag:9".into()),
            ..Default::default()
        };
        let config = engine_config(&flags).unwrap();
        assert_eq!(
            (config.source.to_string(), config.target.to_string()),
            ("flag:9".into(), "file:2".into())
        );
        assert_eq!(config.on_unsupported, Policy::Skip);
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(engine_config(&ReplicateFlags::default()).unwrap_err().contains("--source"));
        let flags = ReplicateFlags { source: Some("dragonfly://a".into()), ..Default::default() };
        assert!(engine_config(&flags).unwrap_err().contains("--target"));
    }
}
