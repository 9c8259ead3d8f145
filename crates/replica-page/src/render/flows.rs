//! The table of flows.

use maud::{Markup, html};
use replica_api::wire::Flow;

use crate::text::{Figure, Texts};
use crate::view::rows::Row;

/// The rows, in a region of its own that scrolls.
pub(super) fn flows(rows: &[Row<Flow>], texts: &Texts) -> Markup {
    if rows.is_empty() {
        return html! { p.quiet { (texts.no_flows) } };
    }
    let is_copied = rows.iter().any(|row| row.of.lag.is_some());
    let has_disk = rows.iter().any(|row| row.of.relay_bytes > 0);
    html! {
        table {
            thead {
                tr {
                    th scope="col" { (texts.flow) }
                    th scope="col" { (texts.flow_state) }
                    th.number.wide scope="col" { (texts.lsn_source) }
                    th.number.wide scope="col" { (texts.lsn_received) }
                    th.number scope="col" { (texts.lsn_durable) }
                    th.number scope="col" { (if is_copied { texts.behind } else { texts.keys_copied }) }
                    th.number scope="col" { (texts.rate) }
                    th.number.wide scope="col" { (texts.in_flight) }
                    @if has_disk { th.number.wide scope="col" { (texts.on_disk) } }
                }
            }
            tbody {
                @for row in rows { (cells(row, has_disk, texts)) }
            }
        }
    }
}

fn lsn(lsn: Option<u64>, texts: &Texts) -> Markup {
    html! { @match lsn { Some(lsn) => (Figure::Count(lsn).html(texts)), None => "–" } }
}

fn cells(row: &Row<Flow>, has_disk: bool, texts: &Texts) -> Markup {
    let flow = &row.of;
    html! {
        tr {
            th scope="row" { (flow.flow) }
            td title=[flow.stalled.as_deref()] { span.dot.(row.tone.class()) {} ((row.state)(texts)) }
            // It was asked a moment ago. What has come since is of it too.
            td.number.wide { (lsn(flow.source_lsn.max(flow.received_lsn), texts)) }
            td.number.wide { (lsn(flow.received_lsn, texts)) }
            td.number { (lsn(flow.durable_lsn, texts)) }
            td.number {
                @match flow.lag {
                    Some(lag) => (Figure::Time(lag.millis).html(texts)),
                    None => (Figure::Count(flow.keys).html(texts)),
                }
            }
            td.number { @match row.rate { Some(rate) => (Figure::Rate(rate).html(texts)), None => "–" } }
            td.number.wide { (Figure::Count(flow.in_flight).html(texts)) }
            @if has_disk { td.number.wide { (Figure::Bytes(flow.relay_bytes).html(texts)) } }
        }
    }
}
