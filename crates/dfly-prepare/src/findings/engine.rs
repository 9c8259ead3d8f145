//! What a start finds out itself: each of its errors is a finding, with the words with which a run would end.

use dfly_client::HandshakeError;
use dfly_client::driver::OpenError;
use dfly_replica::{Begins, Error, OnStart, Rehearsed};
use redis_resp::ErrorCode;
use redis_resp::connection::ConnectionError;
use redis_sink::TargetError;
use redis_sink::cluster::ClusterError;
use redis_slots::TopologyError;

use super::Judging;
use super::words::count;
use crate::check::Check;
use crate::finding::Finding;

pub(super) fn findings(judging: &Judging<'_>, found: &mut Vec<Finding>) {
    let Some(rehearsed) = &judging.facts.rehearsed else { return };
    for error in &rehearsed.errors {
        let mut finding = Finding::blocker(check_of(error), error.to_string(), (judging.advice)(error));
        finding.is_engines = true;
        found.push(finding);
    }
    fine(rehearsed, found);
}

/// What is in order, because a start came past it.
fn fine(rehearsed: &Rehearsed, found: &mut Vec<Finding>) {
    if let Some(source) = &rehearsed.source {
        found.push(Finding::ok(Check::SourceLogin, "The login is accepted."));
        found.push(Finding::ok(
            Check::SourceRole,
            format!("{} is a master, with {}.", source.address, count(source.flows.into(), "flow")),
        ));
    }
    let Some(target) = &rehearsed.target else { return };
    let kind = if target.is_cluster { "a cluster that takes writes" } else { "a primary" };
    found.push(Finding::ok(Check::TargetLogin, "The login is accepted."));
    found.push(Finding::ok(Check::TargetRole, format!("It is {kind}.")));
    if !target.is_cluster {
        found.push(Finding::ok(
            Check::TargetSharded,
            "It is one server: two keys of different slots may be in one transaction.",
        ));
    }
    if let Some(begins) = target.begins {
        let (keys, positions) = begin_in_words(begins, target.keys);
        found.push(Finding::ok(Check::TargetKeys, keys));
        found.push(Finding::ok(Check::TargetPositions, positions));
    }
    if let Some(source) = &rehearsed.source {
        let has = match source.dbs.as_slice() {
            [] => "The source has no keys yet.".to_owned(),
            dbs => format!(
                "{} of the source, each with its place on the target.",
                count(dbs.len() as u64, "database")
            ),
        };
        found.push(Finding::ok(Check::Databases, has));
        for scarce in &target.scarce {
            let remedy = "raise its maxclients, or have other clients leave";
            found.push(Finding::warning(Check::TargetClients, format!("{scarce}."), remedy));
        }
        let flows = count(source.flows.into(), "flow");
        found.push(Finding::ok(
            Check::TargetClients,
            format!("There is room for the connections of {flows}."),
        ));
        found.push(Finding::ok(Check::OpenFiles, format!("The limit is enough for {flows}.")));
    }
}

/// What is said of the target's keys, and of its positions.
fn begin_in_words(begins: Begins, keys: u64) -> (String, &'static str) {
    let holds = count(keys, "key");
    match begins {
        Begins::Empty => {
            ("The target is empty.".to_owned(), "There are none: a run begins with a full synchronisation.")
        }
        Begins::Resume => (
            format!("The target holds {holds}, of a run before."),
            "A run goes on from the positions that the target holds.",
        ),
        Begins::Anew => (
            format!("The target holds {holds}, of a run before."),
            "A run synchronises fully over what a run before has left.",
        ),
        Begins::Over(OnStart::Merge) => (
            format!("The target holds {holds}; those that the source does not have stay."),
            "There are none: a run begins with a full synchronisation.",
        ),
        Begins::Over(OnStart::Mirror) => (
            format!(
                "The target holds {holds}; those that the source does not have are removed behind the snapshot."
            ),
            "There are none: a run begins with a full synchronisation.",
        ),
        Begins::Over(OnStart::Flush) => (
            format!("The target holds {holds}, and is emptied first."),
            "There are none: a run begins with a full synchronisation.",
        ),
        Begins::Over(OnStart::RequireEmpty) => (format!("The target holds {holds}."), "There are none."),
    }
}

/// The check that an error belongs to.
pub(crate) fn check_of(error: &Error) -> Check {
    match error {
        Error::Source(error) => of_source(error),
        Error::Target(error) => of_target(error),
        Error::Cluster(error) => of_cluster(error),
        Error::Lacks { .. } => Check::TargetCommands,
        Error::Unfit { reason, .. } if reason.contains("several servers") => Check::TargetSharded,
        Error::Unfit { reason, .. } if reason.contains("evicts") => Check::TargetEviction,
        Error::Unfit { reason, .. } if reason.contains("replica") => Check::TargetRole,
        Error::Unfit { .. } => Check::TargetKind,
        Error::TooFewClients { .. } => Check::TargetClients,
        Error::TooFewDescriptors { .. } => Check::OpenFiles,
        Error::NoDatabase { .. } => Check::Databases,
        Error::NotEmpty { .. } | Error::KeysOfOthers { .. } => Check::TargetKeys,
        Error::OtherSettings { .. }
        | Error::OtherSource { .. }
        | Error::OtherTask { .. }
        | Error::RefusedBefore { .. }
        | Error::Checkpoint { .. } => Check::TargetPositions,
        Error::State(_) | Error::RelayLog { .. } => Check::StateDir,
        Error::TargetAnswer { .. } => Check::TargetKind,
        _ => Check::Begin,
    }
}

fn of_source(error: &OpenError) -> Check {
    match error {
        OpenError::Connection(error) if error.tls_fault().is_some() => Check::SourceTls,
        OpenError::Connection(ConnectionError::Reply { .. }) => Check::SourceRelease,
        OpenError::Connection(_) => Check::SourceAddresses,
        OpenError::Handshake(HandshakeError::Login(_)) => Check::SourceLogin,
        OpenError::Handshake(HandshakeError::Permission(_)) => Check::SourceCommands,
        OpenError::Handshake(HandshakeError::IsReplica(_) | HandshakeError::Loading) => Check::SourceRole,
        _ => Check::SourceRelease,
    }
}

fn of_target(error: &TargetError) -> Check {
    match error {
        TargetError::Connection(error) if error.tls_fault().is_some() => Check::TargetTls,
        TargetError::Connection(ConnectionError::Reply { .. }) => Check::TargetKind,
        TargetError::Connection(_) => Check::TargetAddresses,
        TargetError::Login(_) => Check::TargetLogin,
        TargetError::Refused { error, .. } if error.code == ErrorCode::NoPermission => Check::TargetCommands,
        TargetError::Refused { error, .. } if error.code == ErrorCode::ReadOnly => Check::TargetRole,
        _ => Check::TargetKind,
    }
}

fn of_cluster(error: &ClusterError) -> Check {
    match error {
        ClusterError::Node { error, .. } if error.tls_fault().is_some() => Check::ClusterBusTls,
        ClusterError::Node { .. } => Check::ClusterNodes,
        ClusterError::Connection(error) if error.tls_fault().is_some() => Check::TargetTls,
        ClusterError::Connection(_) => Check::TargetAddresses,
        ClusterError::Login(_) => Check::TargetLogin,
        ClusterError::Topology(TopologyError::WithoutTls { .. }) => Check::ClusterBusTls,
        ClusterError::Topology(TopologyError::Refused(_)) => Check::TargetKind,
        ClusterError::Topology(_) => Check::ClusterSlots,
        ClusterError::Refused { error, .. } if error.code == ErrorCode::NoPermission => Check::TargetCommands,
        _ => Check::TargetKind,
    }
}
