//! What a session begins with: whose positions the target holds, and what becomes of keys that are there.

use std::collections::BTreeSet;

use tracing::{info, warn};

use crate::checkpoint::{Checkpoint, ExtraKeys, Stored, SyncMetadata};
use crate::config::{EngineConfig, OnStart};
use crate::error::Error;
use crate::session::assemble::Opening;
use crate::target::connect::connect_target;
use crate::target::databases::{count_keys, databases};
use crate::target::emptying::empty;
use crate::target::keyspace_scan::KeyspaceScan;
use crate::target::opening::{Claimed, claim, has_slot_positions};
use crate::target::questions::TargetConnection;

/// The first session of a run, under the name `owner`; and the source whose synchronisation a run before has not finished.
pub(crate) async fn first(
    target: &mut TargetConnection,
    config: &EngineConfig,
    owner: &str,
) -> Result<(Opening, Option<String>), Error> {
    if !config.force_resync {
        SyncMetadata::load(target).await?.check(config)?;
    }
    match claimed(target, config, owner).await? {
        Stored::Refused(reason) if !config.force_resync => Err(Error::RefusedBefore { reason }),
        Stored::Nothing => Ok((Opening::Full(first_start(target, config, owner).await?), None)),
        Stored::Whole(checkpoint) if !config.force_resync => {
            info!(
                source = checkpoint.source_id,
                "the target holds the positions of a run before: asking the source to resume"
            );
            Ok((Opening::Partial(checkpoint), None))
        }
        Stored::Unfinished(of) if !config.force_resync => Ok((anew(target).await?, of)),
        Stored::Whole(_) | Stored::Unfinished(_) | Stored::Refused(_) => Ok((anew(target).await?, None)),
    }
}

/// What a run knows of its sources.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sources<'a> {
    /// Those that it has followed.
    pub followed: &'a BTreeSet<String>,
    /// The one that it has just seen as a replica.
    pub demoted: Option<&'a str>,
}

/// A session in the middle of a run.
pub(crate) async fn next(config: &EngineConfig, owner: &str, sources: Sources<'_>) -> Result<Opening, Error> {
    if let Some(id) = sources.demoted {
        let (mut target, _) = connect_target(config).await?;
        Checkpoint::note_demotion(&mut target, id).await?;
    }
    match stands(config, owner).await? {
        // Another run has followed a fail-over: to go on with the old master would undo that.
        Opening::Partial(at) if !sources.followed.contains(&at.source_id) => Err(Error::Overtaken),
        opening => Ok(opening),
    }
}

/// Where the target stands in the middle of a run.
pub(crate) async fn stands(config: &EngineConfig, owner: &str) -> Result<Opening, Error> {
    let (mut target, _) = connect_target(config).await?;
    match claimed(&mut target, config, owner).await? {
        Stored::Whole(checkpoint) => Ok(Opening::Partial(checkpoint)),
        Stored::Unfinished(_) => anew(&mut target).await,
        Stored::Refused(reason) => Err(Error::RefusedBefore { reason }),
        Stored::Nothing if has_slot_positions(&mut target).await? => {
            let keeps = config.on_start == OnStart::Merge;
            Ok(Opening::Full(if keeps { ExtraKeys::Keep } else { ExtraKeys::Remove }))
        }
        // It was emptied, or came back without its data, or is another server now.
        Stored::Nothing => first_start(&mut target, config, owner).await.map(Opening::Full),
    }
}

async fn claimed(target: &mut TargetConnection, config: &EngineConfig, owner: &str) -> Result<Stored, Error> {
    match claim(target, owner, config.wait_replicas).await? {
        Claimed::Nothing => Ok(Stored::Nothing),
        Claimed::Stored(stored) => Ok(stored),
        Claimed::LostWrites => {
            warn!(
                "a primary of the target has lost data that it had acknowledged (was it restarted without an append-only file, or replaced by a replica that lacked some?): synchronising fully"
            );
            Ok(Stored::Unfinished(None))
        }
    }
}

/// A first start, with what the user wants done about keys that are there.
async fn first_start(
    target: &mut TargetConnection,
    config: &EngineConfig,
    owner: &str,
) -> Result<ExtraKeys, Error> {
    let keys = foreign_keys(target, config).await?;
    match config.on_start {
        _ if keys == 0 => Ok(ExtraKeys::None),
        OnStart::RequireEmpty => Err(Error::NotEmpty { keys }),
        OnStart::Merge => Ok(ExtraKeys::Keep),
        OnStart::Mirror => Ok(ExtraKeys::Remove),
        OnStart::Flush => {
            warn!(keys, "emptying the target, as the settings say");
            empty(config, target, owner).await?;
            Ok(ExtraKeys::None)
        }
    }
}

/// How many keys the target holds; 0 if they are all this tool's own.
pub(crate) async fn foreign_keys(target: &mut TargetConnection, config: &EngineConfig) -> Result<u64, Error> {
    for db in databases(target).await? {
        let mut scan = KeyspaceScan::of(config, db).await?;
        while let Some(found) = scan.next().await? {
            if !found.is_empty() {
                return count_keys(target).await;
            }
        }
    }
    Ok(0)
}

/// A full synchronisation over what one before has left.
pub(crate) async fn anew(target: &mut TargetConnection) -> Result<Opening, Error> {
    let SyncMetadata { keep, sweep, written, .. } = SyncMetadata::load(target).await?;
    let is_whole = matches!(Checkpoint::load(target).await?, Stored::Whole(_));
    Ok(Opening::Full(match written {
        _ if keep => ExtraKeys::Keep,
        0 => ExtraKeys::Remove,
        // Every flow has its position, and nothing was in question any more.
        _ if is_whole && !sweep => ExtraKeys::Remove,
        lists => ExtraKeys::RemoveWritten(lists),
    }))
}
