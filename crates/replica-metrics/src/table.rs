//! Every metric. Names are stable.

use std::time::Duration;

use dfly_replica::{FlowReport, NodeLink, NodeReport, Phase};

use crate::metric::{Kind, Metric, Readings, Seen};

const PHASES: [Phase; 5] =
    [Phase::Connecting, Phase::FullSync, Phase::StableSync, Phase::Reconnecting, Phase::Stopped];

/// A row of the table.
const fn metric(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    read: fn(&Seen<'_>, &mut Readings),
) -> Metric {
    Metric { name, kind, unit, labels, help, read }
}

const FLOW: &[&str] = &["flow"];

/// Every metric, in the order in which they are told.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    metric("build", Kind::Info, "", &["version"], "The release of this tool.", |seen, out| {
        out.label(&seen.status.version, 1.0);
    }),
    metric("start_time", Kind::Gauge, "seconds", &[], "When the run began, since 1970.", |seen, out| {
        out.add(whole(seen.status.started_at.unsigned_abs()) / 1000.0);
    }),
    metric("phase", Kind::Gauge, "", &["phase"], "1 for the phase that the run is in, 0 for the others.", |seen, out| {
        for phase in PHASES {
            out.label(&phase.to_string().replace(' ', "-"), truth(phase == seen.report.phase));
        }
    }),
    metric("in_sync", Kind::Gauge, "", &[], "1 if the target is what the source is, but for records of the last second.", |seen, out| {
        out.add(truth(seen.report.is_in_sync()));
    }),
    metric("paused", Kind::Gauge, "", &[], "1 while the run is told to apply nothing.", |seen, out| {
        out.add(truth(seen.report.is_paused));
    }),
    metric("question", Kind::Gauge, "", &[], "1 while the run waits for a person's answer.", |seen, out| {
        out.add(truth(seen.report.question.is_some()));
    }),
    metric("lag_records", Kind::Gauge, "", &[], "Records that the source has journaled and the target does not hold; absent before stable sync.", |seen, out| {
        out.add_known(seen.status.lag.map(|lag| whole(lag.records)));
    }),
    metric("lag", Kind::Gauge, "seconds", &[], "How long the oldest of them has been missing; absent before stable sync.", |seen, out| {
        out.add_known(seen.status.lag.map(|lag| whole(lag.millis) / 1000.0));
    }),
    metric("flow_lag_records", Kind::Gauge, "", FLOW, "The same records, of one flow.", |seen, out| {
        of_flows(seen, out, |flow| Some(whole(flow.lag?.records)));
    }),
    metric("flow_lag", Kind::Gauge, "seconds", FLOW, "The same time, of one flow.", |seen, out| {
        of_flows(seen, out, |flow| Some(flow.lag?.time.as_secs_f64()));
    }),
    metric("flow_source_lsn", Kind::Gauge, "", FLOW, "The source's next record, when it was asked last.", |seen, out| {
        of_flows(seen, out, |flow| Some(whole(flow.source?.next.0)));
    }),
    metric("flow_received_lsn", Kind::Gauge, "", FLOW, "The next record to be read.", |seen, out| {
        of_flows(seen, out, |flow| Some(whole(flow.positions?.received.0)));
    }),
    metric("flow_carried_lsn", Kind::Gauge, "", FLOW, "The next record whose answer has not come: the target has carried out everything before it.", |seen, out| {
        of_flows(seen, out, |flow| Some(whole(flow.positions?.carried.0)));
    }),
    metric("flow_durable_lsn", Kind::Gauge, "", FLOW, "The next record behind the position that the target stores: it holds everything before it, a new run goes on from here, and no more is acknowledged. In a cluster it follows the one before by a checkpoint.", |seen, out| {
        of_flows(seen, out, |flow| Some(whole(flow.positions?.durable.0)));
    }),
    metric("received", Kind::Counter, "bytes", FLOW, "Bytes that came from the source.", |seen, out| {
        of_flows(seen, out, |flow| Some(whole(flow.bytes)));
    }),
    metric("source_keys", Kind::Gauge, "", &[], "Keys that the source said it has, when the session began.", |seen, out| {
        out.add_known(seen.report.source_keys.map(whole));
    }),
    metric("snapshot_keys", Kind::Counter, "", &["type"], "Keys of the snapshot that were read, by the type of their value.", |seen, out| {
        seen.report.kinds.iter().for_each(|(kind, keys)| out.label(kind, whole(*keys)));
    }),
    metric("snapshot_values", Kind::Counter, "bytes", &["type"], "Bytes of those values of the snapshot that came in one piece, by their type.", |seen, out| {
        seen.report.kind_bytes.iter().for_each(|(kind, bytes)| out.label(kind, whole(*bytes)));
    }),
    metric("journal_records", Kind::Counter, "", &["type"], "Journal records that were read, by the type of value that their command works on: `any` for DEL and others, `none` for those without a key, `unknown` for commands that are not known.", |seen, out| {
        seen.report.record_kinds.iter().for_each(|(kind, records)| out.label(kind, whole(*records)));
    }),
    metric("batches", Kind::Counter, "", FLOW, "Batches of commands that the target has carried out.", |seen, out| {
        of_flows(seen, out, |flow| Some(whole(flow.carried)));
    }),
    metric("batches_in_flight", Kind::Gauge, "", FLOW, "Batches that were sent and not carried out.", |seen, out| {
        of_flows(seen, out, |flow| Some(whole(flow.in_flight)));
    }),
    metric("batch_duration", Kind::Histogram, "seconds", &[], "How long batches took from being sent to being carried out.", |seen, out| {
        out.distribution = Some(seen.report.latency.clone());
    }),
    metric("target_commands", Kind::Counter, "", &["node", "result"], "Commands that a node of the target has answered: `done`, `refused`, `redirected` to another node, or to be sent again `later`.", |seen, out| {
        for node in &seen.report.nodes {
            for (result, commands) in results(node) {
                out.labels([node.address.as_str(), result], whole(commands));
            }
        }
    }),
    metric("target_commands_in_flight", Kind::Gauge, "", &["node"], "Commands that the node was sent and has not answered.", |seen, out| {
        of_nodes(seen, out, |node| whole(node.in_flight));
    }),
    metric("target_node_unanswered", Kind::Gauge, "seconds", &["node"], "How long the node has owed an answer and given none; 0 if it owes none.", |seen, out| {
        of_nodes(seen, out, |node| node.unanswered.unwrap_or_default().as_secs_f64());
    }),
    metric("target_node_away", Kind::Gauge, "", &["node"], "1 while a flow needs a connection to the node and has none.", |seen, out| {
        of_nodes(seen, out, |node| truth(node.link == NodeLink::Away));
    }),
    metric("redirects", Kind::Counter, "", &["kind"], "Commands that a node of a cluster has sent to another node: `moved` with their slot, `ask` while the slot moves.", |seen, out| {
        let all = |of: fn(&NodeReport) -> u64| whole(seen.report.nodes.iter().map(of).sum());
        out.label("moved", all(|node| node.tally.moved));
        out.label("ask", all(|node| node.tally.ask));
    }),
    metric("throttled", Kind::Counter, "seconds", &["cause"], "For how long flows have read less from the source than there was, all flows together: `snapshot-rate` and `command-rate`, which are limits, `target` that takes no more, `relay-log` that is full.", |seen, out| {
        seen.report.throttled.iter().for_each(|(cause, time)| out.label(cause, time.as_secs_f64()));
    }),
    metric("target_unanswered", Kind::Gauge, "seconds", &[], "How long the oldest batch in flight has waited for the target's answer; 0 if none is.", |seen, out| {
        out.add(longest(seen, |flow| flow.unanswered).unwrap_or_default());
    }),
    metric("target_stalled", Kind::Gauge, "", FLOW, "1 while the target takes nothing of the flow.", |seen, out| {
        of_flows(seen, out, |flow| Some(truth(flow.stalled.is_some())));
    }),
    metric("refusals", Kind::Counter, "", &["code"], "Commands that the target has refused, by the first word of its answer.", |seen, out| {
        seen.report.refusals.iter().for_each(|(code, count)| out.label(code, whole(*count)));
    }),
    metric("retries", Kind::Counter, "", &["cause"], "Attempts that failed and are repeated, by what failed.", |seen, out| {
        seen.report.retries.iter().for_each(|(cause, count)| out.label(&cause.replace(' ', "-"), whole(*count)));
    }),
    metric("left_out", Kind::Counter, "", &["kind"], "What the target cannot hold and was left out, by kind.", |seen, out| {
        seen.report.losses.iter().for_each(|(loss, count)| out.label(&loss, whole(count)));
    }),
    metric("evicted_keys", Kind::Counter, "", &[], "Keys that the target has evicted.", |seen, out| {
        out.add(whole(seen.report.evicted_keys));
    }),
    metric("extra_keys_removed", Kind::Counter, "", &[], "Keys of the target that the source did not have, and that were removed.", |seen, out| {
        out.add(whole(seen.report.extra_keys_removed));
    }),
    metric("refetches", Kind::Counter, "", &["reason"], "Keys that had to be read again from the source, by reason.", |seen, out| {
        seen.report.refetches.iter().for_each(|(reason, count)| out.label(reason.name(), whole(*count)));
    }),
    metric("refetched_keys", Kind::Counter, "", &[], "Values that were read again and written.", |seen, out| {
        out.add(whole(seen.report.refetched));
    }),
    metric("refetch_waiting_keys", Kind::Gauge, "", FLOW, "Keys that wait to be read again.", |seen, out| {
        of_flows(seen, out, |flow| Some(whole(flow.refetching)));
    }),
    metric("refetch_oldest", Kind::Gauge, "seconds", &[], "How long the oldest of them has waited; 0 if none does.", |seen, out| {
        out.add(longest(seen, |flow| flow.oldest_refetch).unwrap_or_default());
    }),
    metric("relay_log", Kind::Gauge, "bytes", FLOW, "Bytes of the journal that wait on disk for the target.", |seen, out| {
        of_flows(seen, out, |flow| Some(whole(flow.relay_bytes)));
    }),
    metric("relay_log_limit", Kind::Gauge, "bytes", &[], "How much of the journal of each flow may wait there; absent without a relay log.", |seen, out| {
        out.add_known(seen.status.relay_limit.map(whole));
    }),
    metric("resume_window_records", Kind::Gauge, "", &[], "How many records of a flow the source may write without the run, which then still resumes: those that a source of this release keeps unless it is told otherwise, without those that the run needs.", |seen, out| {
        out.add_known(seen.status.resume_window.map(|window| whole(window.left)));
    }),
    metric("resume_window", Kind::Gauge, "seconds", &[], "How long the source takes to write that many, as it writes now; absent if it writes nothing.", |seen, out| {
        out.add_known(seen.status.resume_window.and_then(|window| window.millis).map(|millis| whole(millis) / 1000.0));
    }),
    metric("checkpoint_age", Kind::Gauge, "seconds", FLOW, "How long the position that the target holds has not moved; absent before stable sync.", |seen, out| {
        of_flows(seen, out, |flow| Some(flow.checkpoint_age?.as_secs_f64()));
    }),
    metric("verified_keys", Kind::Counter, "", &["result"], "Keys that were compared beside the run: `equal`, `repaired`, `different` behind their repair too, `not-compared`.", |seen, out| {
        verified(seen, out);
    }),
    metric("process_cpu", Kind::Counter, "seconds", &[], "Processor time of this process.", |seen, out| {
        out.add_known(seen.process.cpu_seconds);
    }),
    metric("process_resident_memory", Kind::Gauge, "bytes", &[], "Resident memory of this process.", |seen, out| {
        out.add_known(seen.process.resident_bytes);
    }),
];

/// Exact up to 2^53, which no count of a run comes to.
#[expect(clippy::cast_precision_loss, reason = "metrics are numbers of this form")]
fn whole(count: u64) -> f64 {
    count as f64
}

fn truth(is_true: bool) -> f64 {
    f64::from(u8::from(is_true))
}

fn of_flows(seen: &Seen<'_>, out: &mut Readings, of: impl Fn(&FlowReport) -> Option<f64>) {
    for (nth, flow) in seen.report.flows.iter().enumerate() {
        of(flow).into_iter().for_each(|value| out.label(&nth, value));
    }
}

fn of_nodes(seen: &Seen<'_>, out: &mut Readings, of: impl Fn(&NodeReport) -> f64) {
    seen.report.nodes.iter().for_each(|node| out.label(&node.address, of(node)));
}

fn results(node: &NodeReport) -> [(&'static str, u64); 4] {
    let tally = node.tally;
    [
        ("done", tally.done()),
        ("refused", tally.refused),
        ("redirected", tally.moved + tally.ask),
        ("later", tally.later),
    ]
}

fn longest(seen: &Seen<'_>, of: impl Fn(&FlowReport) -> Option<Duration>) -> Option<f64> {
    seen.report.flows.iter().filter_map(of).max().map(|time| time.as_secs_f64())
}

fn verified(seen: &Seen<'_>, out: &mut Readings) {
    let Some(verified) = &seen.status.verified else { return };
    let different = verified.different.values().sum::<u64>();
    let others = verified.repaired + different + verified.not_compared;
    out.label("equal", whole(verified.compared.saturating_sub(others)));
    out.label("repaired", whole(verified.repaired));
    out.label("different", whole(different));
    out.label("not-compared", whole(verified.not_compared));
}
