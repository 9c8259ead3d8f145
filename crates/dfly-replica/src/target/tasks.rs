//! Which tasks write to a target: each is named in a set that all of them share, so that a start finds positions of its
//! source that another task has left.

use dfly_translate::{ReservedNames, TaskName};
use redis_resp::Reply;

use super::questions::{TargetConnection, demand, members};
use super::replies::strange;
use crate::checkpoint::{Checkpoint, Stored};
use crate::error::Error;

/// A start under a name leaves it here.
pub(crate) async fn register(target: &mut TargetConnection) -> Result<(), Error> {
    let task = target.names().task().to_string();
    if !task.is_empty() {
        demand(target, "SADD", &["SADD", ReservedNames::TASKS, &task]).await?;
    }
    Ok(())
}

/// What a task has left was cleaned up.
pub(crate) async fn unregister(target: &mut TargetConnection) -> Result<(), Error> {
    let task = target.names().task().to_string();
    if !task.is_empty() {
        demand(target, "SREM", &["SREM", ReservedNames::TASKS, &task]).await?;
    }
    Ok(())
}

/// Another task that has positions on the target, if there is one.
pub(crate) async fn other(target: &mut TargetConnection) -> Result<Option<TaskName>, Error> {
    let ours = target.names().task().clone();
    let names = members(target, "SMEMBERS", &["SMEMBERS", ReservedNames::TASKS]).await?;
    let named = names.iter().filter_map(|name| String::from_utf8_lossy(name).parse::<TaskName>().ok());
    for theirs in named.chain([TaskName::default()]).filter(|theirs| *theirs != ours) {
        let checkpoint = ReservedNames::new(&theirs).checkpoint().to_owned();
        if demand(target, "HEXISTS", &["HEXISTS", &checkpoint, "source"]).await? == Reply::Integer(1) {
            return Ok(Some(theirs));
        }
    }
    Ok(None)
}

/// A first start that finds no positions under its own name: those of the same source that a run without a name has left may
/// be meant, and the other way round. Two names are two tasks.
///
/// # Errors
/// [`Error::OtherTask`], with the name.
pub(crate) async fn check_others(target: &mut TargetConnection, source_id: &str) -> Result<(), Error> {
    if Checkpoint::load(target).await? != Stored::Nothing {
        return Ok(());
    }
    let ours = target.names().task().clone();
    let mut others = Vec::new();
    if ours.is_empty() {
        let names = members(target, "SMEMBERS", &["SMEMBERS", ReservedNames::TASKS]).await?;
        others.extend(names.iter().filter_map(|name| String::from_utf8_lossy(name).parse::<TaskName>().ok()));
    } else {
        others.push(TaskName::default());
    }
    for theirs in others {
        let names = ReservedNames::new(&theirs);
        match demand(target, "HGET", &["HGET", names.checkpoint(), "source"]).await? {
            Reply::Bulk(id) if id == source_id => {
                return Err(Error::OtherTask { theirs: theirs.to_string(), ours: ours.to_string() });
            }
            Reply::Bulk(_) | Reply::Nil => {}
            other => return Err(strange("HGET", &other)),
        }
    }
    Ok(())
}
