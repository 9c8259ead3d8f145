//! The pictures with their titles, legends and axes.

use maud::{Markup, PreEscaped, html};

use super::plot_svg::svg;
use crate::text::{Figure, Texts};
use crate::view::plots::{Line, Plot, Range};

/// The three pictures, side by side where there is room.
pub(super) fn plots(plots: &[Plot], range: Range, texts: &Texts) -> Markup {
    html! {
        div.plots {
            @for plot in plots { (picture(plot, range, texts)) }
        }
    }
}

fn picture(plot: &Plot, range: Range, texts: &Texts) -> Markup {
    let is_empty = plot.lines.iter().all(|line| line.points.iter().flatten().next().is_none());
    let started = match range {
        Range::Minutes => texts.ago_five_minutes,
        Range::Hour => texts.ago_one_hour,
    };
    html! {
        figure.card.plot {
            figcaption {
                h3 { ((plot.title)(texts)) }
                ul.legend {
                    @for (nth, line) in plot.lines.iter().enumerate() { (legend(nth, line, texts)) }
                }
            }
            div.canvas role="img" aria-label=(summary(plot, texts)) {
                div.scale aria-hidden="true" {
                    @for share in [1.0, 0.5, 0.0] { span { ((plot.figure)(plot.top * share).html(texts)) } }
                }
                div.drawing {
                    (PreEscaped(svg(plot)))
                    @if is_empty { p.nothing { (texts.no_data) } }
                }
                div.axis aria-hidden="true" { span { (started) } span { (texts.now) } }
            }
        }
    }
}

fn legend(nth: usize, line: &Line, texts: &Texts) -> Markup {
    let class = if nth == 0 { "first" } else { "second" };
    html! {
        li class=(class) {
            span.name { ((line.name)(texts)) }
            strong { @match &line.latest { Some(latest) => (latest.html(texts)), None => "–" } }
        }
    }
}

fn summary(plot: &Plot, texts: &Texts) -> String {
    let top = (plot.figure)(plot.top).plain(texts);
    let told = plot.lines.iter().map(|line| {
        let now = line.latest.as_ref().map_or("–".to_owned(), |latest: &Figure| latest.plain(texts));
        let values = [(line.name)(texts), &now, &top];
        values.iter().enumerate().fold(texts.plot_summary.to_owned(), |text, (nth, value)| {
            text.replace(&format!("{{{nth}}}"), value)
        })
    });
    told.collect::<Vec<_>>().join("; ")
}
