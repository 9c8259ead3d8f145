//! The servers of the target, those in trouble first.

use replica_api::wire::TargetNode;

use super::rates::in_a_second;
use super::rows::{Row, State, by_trouble};
use super::tone::Tone;
use crate::seen::Seen;

/// From how long on a node is said not to answer, in milliseconds.
const SILENT: u64 = 1500;

/// The rows.
pub(crate) fn node_rows(seen: &Seen) -> Vec<Row<TargetNode>> {
    by_trouble(seen.status.nodes.iter().map(|node| Row::new(node, state(node), rate(seen, node))))
}

fn state(node: &TargetNode) -> State {
    match node.unanswered {
        _ if node.is_away => (Tone::Bad, |t| t.node_away),
        Some(SILENT..) => (Tone::Bad, |t| t.node_silent),
        Some(_) | None => (Tone::Good, |t| t.node_answers),
    }
}

/// What was carried out since a few seconds ago, in a second.
fn rate(seen: &Seen, node: &TargetNode) -> Option<f64> {
    let before = seen.before.as_ref()?;
    let was = before.nodes.iter().find(|was| was.address == node.address)?;
    in_a_second(node.done.saturating_sub(was.done), before.now, seen.status.now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::examples::{followed, with};

    #[test]
    fn trouble_comes_first() {
        let seen = with(followed(0), |seen| {
            let node = |address: &str, unanswered| TargetNode {
                address: address.to_owned(),
                done: 900,
                in_flight: 7,
                unanswered,
                ..TargetNode::default()
            };
            seen.status.nodes = vec![node("a:1", None), node("b:1", Some(2000)), node("c:1", Some(100))];
            let mut before = seen.status.clone();
            before.now -= 3000;
            before.nodes[0].done = 600;
            seen.before = Some(before);
        });
        let rows = node_rows(&seen);
        let order: Vec<&str> = rows.iter().map(|row| row.of.address.as_str()).collect();
        assert_eq!(order, ["b:1", "a:1", "c:1"]);
        assert_eq!((rows[0].tone, rows[1].tone, rows[1].rate), (Tone::Bad, Tone::Good, Some(100.0)));
    }
}
