//! The parts of the page that change while it is looked at.

use maud::{Markup, html};

use super::{cutover, flows, nodes, plots, top};
use crate::seen::Seen;
use crate::text::{Figure, Texts};
use crate::view;
use crate::view::check::{Can, Check};
use crate::view::cutover::CutoverView;
use crate::view::events::Happened;
use crate::view::flows::rows;
use crate::view::headline::Headline;
use crate::view::left_out::{LeftOut, Line, What};
use crate::view::nodes::node_rows;
use crate::view::plots::Range;
use crate::view::safety::{Guard, guards};
use crate::view::sides::Sides;
use crate::view::stages::stages;

/// How many events are shown.
const EVENTS: usize = 50;

/// The names of the parts. Each is the content of the element with this `data-part`.
pub(crate) const PARTS: [&str; 13] = [
    "spoken", "headline", "sides", "question", "way", "plots", "flows", "nodes", "safety", "left-out",
    "check", "events", "cutover",
];

/// A part of the page, as it is now.
pub(crate) fn part(name: &str, seen: &Seen, range: Range, texts: &Texts) -> Markup {
    match name {
        "spoken" => top::spoken(&Headline::of(seen), texts),
        "headline" => top::headline(&Headline::of(seen), texts),
        "sides" => top::sides(&Sides::of(seen), texts),
        "question" => question(seen, texts),
        "way" => top::way(&stages(seen), texts),
        "plots" => plots::plots(&view::plots::plots(seen, range), range, texts),
        "flows" => flows::flows(&rows(seen), texts),
        "nodes" => nodes::nodes(&node_rows(seen), texts),
        "safety" => safety(&guards(seen), texts),
        "left-out" => left_out(&LeftOut::of(seen), texts),
        "check" => check(&Check::of(seen), texts),
        "events" => events(&view::events::events(seen), texts),
        "cutover" => cutover::cutover(&CutoverView::of(seen), texts),
        _ => html! {},
    }
}

/// What can be answered, if the run asks something.
fn question(seen: &Seen, texts: &Texts) -> Markup {
    html! {
        @if seen.status.question.is_some() {
            p.actions {
                button type="button" data-opens="accept" { (texts.yes) }
                button type="button" data-opens="refuse" { (texts.no) }
            }
        }
    }
}

fn safety(guards: &[Guard], texts: &Texts) -> Markup {
    html! {
        dl.guards {
            @for guard in guards {
                div {
                    dt { span.dot.(guard.tone.class()) {} ((guard.name)(texts)) }
                    dd {
                        strong { (guard.value.html(texts)) }
                        @if let Some(fill) = guard.fill {
                            meter min="0" max="1" low="0.5" high="0.8" optimum="0" value=(format!("{fill:.3}"))
                                aria-label=((guard.name)(texts)) {}
                        }
                        span.note { (guard.note.html(texts)) }
                    }
                }
            }
        }
    }
}

fn left_out(found: &LeftOut, texts: &Texts) -> Markup {
    html! {
        div.thirds {
            (lines(texts.left_out_head, texts.nothing_left_out, &found.left_out, texts))
            (lines(texts.waits_head, texts.nothing_waits, &found.waits, texts))
            (lines(texts.mended_head, texts.nothing_mended, &found.mended, texts))
        }
    }
}

fn lines(head: &str, nothing: &str, lines: &[Line], texts: &Texts) -> Markup {
    html! {
        div {
            h3 { (head) }
            @if lines.is_empty() { p.quiet { (nothing) } }
            @if !lines.is_empty() {
                ul.lines {
                    @for line in lines {
                        li { span.dot.(line.tone.class()) {} span { (what(&line.what, texts)) } strong { (line.count.html(texts)) } }
                    }
                }
            }
        }
    }
}

fn what(what: &What, texts: &Texts) -> String {
    match what {
        What::Known(text) => text(texts).to_owned(),
        What::Named(text, name) => text(texts).replace("{0}", name),
    }
}

fn check(check: &Check, texts: &Texts) -> Markup {
    html! {
        p.verdict { span.dot.(check.tone.class()) {} span { (check.verdict.html(texts)) } }
        @for more in &check.more { p.quiet { (more.html(texts)) } }
        @if let Some(share) = check.share {
            progress max="100" value=(format!("{:.0}", share * 100.0)) aria-label=(texts.check_short) {}
        }
        @if !check.different.is_empty() {
            table {
                thead { tr { th scope="col" { (texts.what_differs) } th.number scope="col" { (texts.keys) } } }
                tbody {
                    @for (what, keys) in &check.different {
                        tr { th scope="row" { (what) } td.number { (Figure::Count(*keys).html(texts)) } }
                    }
                }
            }
        }
        p.actions {
            @if check.can == Can::Stop {
                button type="button" data-opens="check-stop" { (texts.check_stop) }
            } @else {
                @let is_off = check.can == Can::Nothing;
                button type="button" data-opens="check" disabled[is_off] { (texts.check_start) }
                button type="button" data-opens="check-repair" disabled[is_off] { (texts.check_repair) }
                @if check.has_keys { button type="button" data-opens="differences" { (texts.check_show) } }
            }
        }
    }
}

/// Text with commands between backticks.
pub(super) fn code(text: &str) -> Markup {
    html! {
        @for (nth, part) in text.split('`').enumerate() {
            @if nth % 2 == 0 { (part) } @else { code { (part) } }
        }
    }
}

fn events(events: &[Happened], texts: &Texts) -> Markup {
    html! {
        @if events.is_empty() { p.quiet { (texts.no_events) } }
        @if !events.is_empty() {
            ol.events {
                @for event in events.iter().take(EVENTS) {
                    li { (Figure::Moment(event.at).html(texts)) span { (event.what.html(texts)) } }
                }
            }
        }
    }
}
