//! Compares streams: entries, ids, groups, consumers and pending entries.

use std::fmt::Debug;

use super::difference::What;
use crate::value::{Consumer, Group, StreamInfo, StreamValue};

/// What must be equal in a stream besides its entries, ids, groups and owners of pending entries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Whether delivery times must be equal. If not, they may be later.
    pub(super) delivery_times: bool,
    /// Whether the seen and active times of consumers must be equal. If not, they may be later.
    pub(super) consumer_times: bool,
    /// Whether a group's `entries-read` must be known if the source knows it.
    pub(super) entries_read: bool,
}

pub(super) fn differences(wanted: &StreamValue, held: &StreamValue, rules: Rules) -> Vec<What> {
    let mut all = Vec::new();
    if wanted.entries != held.entries {
        let same = wanted.entries.iter().zip(&held.entries).take_while(|(a, b)| a == b).count();
        let (a, b) = (wanted.entries.len(), held.entries.len());
        all.push(What::Value(format!("{b} entries, expected {a}; they differ from entry {same} on")));
    }
    info(&wanted.info, &held.info, (rules, &mut all));
    all
}

/// Adds a difference named `what` if the two differ.
fn note<T: PartialEq + Debug>(all: &mut Vec<What>, what: &str, (wanted, held): (&T, &T)) {
    if wanted != held {
        all.push(What::Stream(format!("{what} {held:?}, expected {wanted:?}")));
    }
}

fn info(wanted: &StreamInfo, held: &StreamInfo, (rules, all): (Rules, &mut Vec<What>)) {
    note(all, "length", (&wanted.length, &held.length));
    note(all, "last-generated-id", (&wanted.last_id, &held.last_id));
    note(all, "max-deleted-entry-id", (&wanted.max_deleted_id, &held.max_deleted_id));
    note(all, "entries-added", (&wanted.entries_added, &held.entries_added));
    note(all, "recorded-first-entry-id", (&wanted.first_id, &held.first_id));
    let names = |info: &StreamInfo| info.groups.keys().cloned().collect::<Vec<_>>();
    note(all, "groups", (&names(wanted), &names(held)));
    for (name, group_wanted) in &wanted.groups {
        if let Some(group_held) = held.groups.get(name) {
            group(&name.escape_ascii().to_string(), (group_wanted, group_held), (rules, all));
        }
    }
}

fn group(name: &str, (wanted, held): (&Group, &Group), (rules, all): (Rules, &mut Vec<What>)) {
    note(
        all,
        &format!("group {name}: last-delivered-id"),
        (&wanted.last_delivered_id, &held.last_delivered_id),
    );
    if rules.entries_read || held.entries_read.is_some() {
        note(all, &format!("group {name}: entries-read"), (&wanted.entries_read, &held.entries_read));
    }
    let owners = |group: &Group| -> Vec<_> {
        group.pending.iter().map(|p| (p.id.clone(), p.consumer.clone(), p.count)).collect()
    };
    note(all, &format!("group {name}: pending"), (&owners(wanted), &owners(held)));
    let times = |group: &Group| group.pending.iter().map(|p| p.delivered_at_ms).collect::<Vec<_>>();
    if rules.delivery_times || times(wanted).iter().zip(&times(held)).any(|(a, b)| b < a) {
        note(all, &format!("group {name}: delivery times"), (&times(wanted), &times(held)));
    }
    let names = |group: &Group| group.consumers.keys().cloned().collect::<Vec<_>>();
    note(all, &format!("group {name}: consumers"), (&names(wanted), &names(held)));
    for (consumer_name, consumer_wanted) in &wanted.consumers {
        if let Some(consumer_held) = held.consumers.get(consumer_name) {
            let name = format!("group {name}: consumer {}", consumer_name.escape_ascii());
            consumer(&name, (consumer_wanted, consumer_held), (rules, all));
        }
    }
}

fn consumer(name: &str, (wanted, held): (&Consumer, &Consumer), (rules, all): (Rules, &mut Vec<What>)) {
    note(all, &format!("{name}: pending"), (&wanted.pending, &held.pending));
    if rules.consumer_times || held.seen_at_ms < wanted.seen_at_ms {
        note(all, &format!("{name}: seen-time"), (&wanted.seen_at_ms, &held.seen_at_ms));
    }
    // Redis before 7.2 has no active-time.
    if rules.consumer_times && held.active_at_ms.is_some() {
        note(all, &format!("{name}: active-time"), (&wanted.active_at_ms, &held.active_at_ms));
    }
}
