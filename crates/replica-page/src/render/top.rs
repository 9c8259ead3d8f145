//! The first two answers: the sentence with source and target, and the way.

use maud::{Markup, html};

use crate::text::{Phrase, Texts};
use crate::view::headline::Headline;
use crate::view::sides::{End, Sides};
use crate::view::stages::Stage;

/// One sentence and a colour. What a screen reader says changes with the sentence, and not with its numbers.
pub(super) fn headline(headline: &Headline, texts: &Texts) -> Markup {
    html! {
        div.headline.(headline.tone.class()) data-title=(headline.sentence.plain(texts)) {
            span.lamp aria-hidden="true" {}
            div {
                p.sentence { (headline.sentence.html(texts)) }
                @if let Some(question) = &headline.question { p.more { (question) } }
                @if let Some(more) = &headline.more { p.more { (more.html(texts)) } }
            }
        }
    }
}

/// What is spoken.
pub(super) fn spoken(headline: &Headline, texts: &Texts) -> Markup {
    html! { (headline.spoken.as_ref().unwrap_or(&headline.sentence).without_figures(texts)) }
}

/// Source, target, and facts of the run.
pub(super) fn sides(sides: &Sides, texts: &Texts) -> Markup {
    html! {
        div.sides {
            (end(texts.source, &sides.source, texts))
            div.arrow aria-hidden="true" {
                svg viewBox="0 0 48 12" { path d="M0 6h45M40 1l6 5-6 5" {} }
            }
            (end(texts.target, &sides.target, texts))
            dl.facts {
                @for (name, value) in &sides.facts { (fact(name, value, texts)) }
            }
        }
    }
}

fn fact(name: &Phrase, value: &Phrase, texts: &Texts) -> Markup {
    html! { div { dt { (name.html(texts)) } dd { (value.html(texts)) } } }
}

fn end(name: &str, end: &End, texts: &Texts) -> Markup {
    let form = end.form.as_ref().map(|form| form.html(texts));
    html! {
        div.end {
            p.role { (name) }
            p.address { bdi { (end.address) } }
            p.product {
                @if let Some(product) = &end.product { bdi { (product) } }
                @if let Some(form) = form {
                    @if end.product.is_some() { ", " }
                    (form)
                }
            }
        }
    }
}

/// Done, now, to come.
pub(super) fn way(stages: &[Stage], texts: &Texts) -> Markup {
    html! {
        ol.way {
            @for stage in stages {
                li class=(stage.state.class()) aria-current=[(stage.state.class() == "now").then_some("step")] {
                    span.mark aria-hidden="true" {}
                    p.name { ((stage.name)(texts)) }
                    p.note {
                        @match &stage.note {
                            Some(note) => (note.html(texts)),
                            None => (stage.state.word(texts)),
                        }
                    }
                    @if stage.note.is_some() { span.hidden { (stage.state.word(texts)) } }
                    @if let Some(share) = stage.share {
                        progress max="100" value=(format!("{:.0}", share * 100.0)) aria-label=((stage.name)(texts)) {}
                    }
                }
            }
        }
    }
}
