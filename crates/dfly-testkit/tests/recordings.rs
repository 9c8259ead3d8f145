//! Every bundled recording: its sessions, its ends, its journals, its expectations.

#![expect(clippy::unwrap_used, reason = "a failed expectation must stop the test")]

use std::collections::BTreeMap;

use dfly_testkit::{FlowRecording, Recording, Value, walk};

fn all() -> Vec<(String, Recording)> {
    let names = Recording::bundled_names().unwrap();
    names.into_iter().map(|name| (name.clone(), Recording::bundled(&name).unwrap())).collect()
}

fn flows(recording: &Recording) -> impl Iterator<Item = &FlowRecording> {
    recording.sessions.iter().flat_map(|session| &session.flows)
}

#[test]
fn sixteen_recordings_with_the_flows_their_flags_say() {
    let all = all();
    assert_eq!(all.len(), 16);
    for (name, recording) in &all {
        assert_eq!(recording.meta.scenario, *name);
        let connections: usize = recording.sessions.iter().map(|session| 1 + session.flows.len()).sum();
        assert_eq!(connections, recording.meta.connections, "{name}");
        let threads =
            recording.meta.master_flags.iter().find_map(|f| f.strip_prefix("--proactor_threads=")).unwrap();
        for session in &recording.sessions {
            assert_eq!(session.flows.len().to_string(), threads, "{name}");
            assert_eq!(session.version, 5, "{name}");
            let ids: Vec<usize> = session.flows.iter().map(|flow| flow.flow).collect();
            assert_eq!(ids, (0..session.flows.len()).collect::<Vec<_>>(), "{name}");
        }
        assert_eq!(recording.sessions.len(), if name == "partial-resync" { 2 } else { 1 });
        assert_eq!(recording.password(), (name == "requirepass").then_some("s3cret"));
    }
}

#[test]
fn full_flows_end_their_snapshot_before_start_stable() {
    for (name, recording) in all() {
        for flow in flows(&recording).filter(|flow| !flow.partial) {
            let at = format!("{name}, flow {}", flow.flow);
            assert!(flow.stream.starts_with(b"REDIS0009"), "{at}");
            assert!(flow.fullsync_end <= flow.first_len, "{at}: FULLSYNC_END came before STARTSTABLE");
            assert!(flow.first_len < flow.token_end, "{at}: the token came after STARTSTABLE");
            assert!(flow.stream[..flow.token_end].ends_with(flow.token.as_bytes()), "{at}");
            assert_eq!(flow.first().len() + flow.second().len(), flow.stream.len(), "{at}");
        }
    }
}

#[test]
fn the_partial_session_continues_where_the_first_was_cut() {
    let recording = Recording::bundled("partial-resync").unwrap();
    let [full, partial] = &recording.sessions[..] else { unreachable!("two sessions") };
    assert!(!full.is_partial() && partial.is_partial());
    assert_eq!(full.repl_id, partial.repl_id);
    for (before, after) in full.flows.iter().zip(&partial.flows) {
        assert_eq!(after.lsn, Some(before.final_lsn));
        assert_eq!(after.start_lsn, before.final_lsn);
        assert_eq!((after.fullsync_end, after.token_end), (0, 0));
    }
}

/// No recorded replica was closed before its last ACK, so the count of the journal's records is the last ACK everywhere.
#[test]
fn the_walker_counts_what_the_recorded_replica_acknowledged() {
    for (name, recording) in all() {
        for flow in flows(&recording) {
            let at = format!("{name}, flow {}", flow.flow);
            let walked = walk(flow.journal(), flow.start_lsn).unwrap();
            assert_eq!(walked.leftover, 0, "{at}: the journal ends with a whole record");
            assert_eq!(flow.acks.last(), Some(&flow.final_lsn), "{at}");
            assert!(flow.acks.iter().all(|ack| (flow.start_lsn..=flow.final_lsn).contains(ack)), "{at}");
            assert_eq!(
                flow.marks.last().map_or(flow.start_lsn, |mark| mark.next_lsn),
                flow.final_lsn,
                "{at}"
            );
        }
    }
}

#[test]
fn expected_rows_are_typed() {
    let mut native: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, recording) in all() {
        let held = recording.expected().iter().filter(|row| row.value != Value::None).count();
        assert_eq!(held, recording.meta.keys, "{name}");
        for row in recording.expected().iter().filter(|row| row.native_replica.is_some()) {
            native.entry(name.clone()).or_default().push(row.key.escape_ascii().to_string());
        }
    }
    assert_eq!(native["journal-4shards"], ["j:hshort", "j:sorted", "json:scalar"]);
    assert!(!native.contains_key("flushall-in-stable"));

    let recording = Recording::bundled("journal-4shards").unwrap();
    let row = |key: &str| recording.expected().iter().find(|row| row.key == key).unwrap();
    assert_eq!(row("j:hshort").native_replica, Some(None));
    assert_eq!(row("j:l").value, Value::List(["y", "z", "2"].map(Into::into).to_vec()));
    assert_eq!(row("j:keep").expire_at_ms, 1_893_456_000_000);
    assert_eq!(row("hash:ttl").member_ttls.len(), 2);
    assert_eq!(row("set:ttl").member_ttls.len(), 3);
    let Value::Stream(stream) = &row("j:x").value else { unreachable!("j:x is a stream") };
    assert_eq!(stream.info.last_id, "9999999999999-5");
    assert_eq!(stream.info.groups[&b"g"[..]].pending[0].count, 2);
    let Value::Zset(special) = &row("zset:special").value else { unreachable!("a sorted set") };
    assert_eq!(special[&b"ninf"[..]].0, f64::NEG_INFINITY);
    assert!(recording.journal_arguments().contains(&b"j:x"[..]));
    assert!(!recording.journal_arguments().contains(&b"stream:long"[..]));
}

#[test]
fn the_embedded_recording_is_the_bundled_one() {
    let (embedded, bundled) =
        (Recording::embedded().unwrap(), Recording::bundled("journal-4shards").unwrap());
    assert_eq!(embedded.expected(), bundled.expected());
    for (a, b) in embedded.connections.iter().zip(&bundled.connections) {
        assert_eq!((&a.c2s, &a.s2c, &a.chunks), (&b.c2s, &b.s2c, &b.chunks));
    }
}

#[test]
fn a_recording_that_is_none_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = Recording::load(dir.path()).unwrap_err();
    assert!(refused.to_string().contains("meta.json"), "{refused}");
}
