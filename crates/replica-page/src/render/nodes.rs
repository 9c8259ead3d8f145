//! The table of the target's servers.

use maud::{Markup, html};
use replica_api::wire::TargetNode;

use crate::text::{Figure, Texts, say};
use crate::view::rows::Row;

/// The rows, in a region of its own that scrolls.
pub(super) fn nodes(rows: &[Row<TargetNode>], texts: &Texts) -> Markup {
    if rows.is_empty() {
        return html! { p.quiet { (texts.no_nodes) } };
    }
    html! {
        table {
            thead {
                tr {
                    th scope="col" { (texts.node) }
                    th scope="col" { (texts.flow_state) }
                    th.number scope="col" { (texts.commands_rate) }
                    th.number.wide scope="col" { (texts.commands_in_flight) }
                    th.number.wide scope="col" { (texts.commands_refused) }
                    th.number.wide scope="col" { (texts.commands_redirected) }
                }
            }
            tbody {
                @for row in rows { (cells(row, texts)) }
            }
        }
    }
}

fn cells(row: &Row<TargetNode>, texts: &Texts) -> Markup {
    let node = &row.of;
    let since = node.unanswered.filter(|_| row.tone.is_trouble());
    html! {
        tr {
            th scope="row" { bdi { (node.address) } }
            td {
                span.dot.(row.tone.class()) {}
                ((row.state)(texts))
                @if let Some(since) = since { " " (say(|t| t.for_time, [Figure::Time(since)]).html(texts)) }
            }
            td.number { @match row.rate { Some(rate) => (Figure::Rate(rate).html(texts)), None => "–" } }
            td.number.wide { (Figure::Count(node.in_flight).html(texts)) }
            td.number.wide { (Figure::Count(node.refused).html(texts)) }
            td.number.wide { (Figure::Count(node.redirected + node.later).html(texts)) }
        }
    }
}
