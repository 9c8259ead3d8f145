//! How far a cutover is.

use maud::{Markup, html};

use crate::text::Texts;
use crate::view::cutover::{CutoverView, Outcome, Step};

/// The steps, what became of it, and what can be done now.
pub(super) fn cutover(view: &CutoverView, texts: &Texts) -> Markup {
    html! {
        @if !view.steps.is_empty() {
            ol.steps {
                @for (name, step) in &view.steps {
                    li class=(class(*step)) {
                        span.mark aria-hidden="true" {}
                        (name(texts))
                        span.hidden { " " (word(*step, texts)) }
                    }
                }
            }
        }
        @if let Some(outcome) = &view.outcome { (told(outcome, texts)) }
        @if let Some(found) = &view.dry_run { p.verdict { span.dot.off {} span { (found.html(texts)) } } }
        @if view.is_running {
            p.quiet { (texts.cut_release_help) }
            p.actions { button type="button" data-opens="release" { (texts.cut_release) } }
        } @else {
            @if let Some(doubt) = &view.doubt { p.verdict { span.dot.warn {} span { (doubt.html(texts)) } } }
            p.quiet { @if view.may_begin { (texts.cut_lead) } @else { (texts.cut_not_yet) } }
            p.actions {
                button.primary type="button" data-opens="cutover" disabled[!view.may_begin] { (texts.cut_begin) }
            }
        }
    }
}

fn told(outcome: &Outcome, texts: &Texts) -> Markup {
    html! {
        p.verdict { span.dot.(outcome.tone.class()) {} span { (outcome.sentence.html(texts)) } }
        @if !outcome.lines.is_empty() {
            ul.proof.(outcome.tone.class()) { @for line in &outcome.lines { li { (line.html(texts)) } } }
        }
    }
}

fn class(step: Step) -> &'static str {
    match step {
        Step::Done => "done",
        Step::Now => "now",
        Step::ToCome => "to-come",
    }
}

fn word(step: Step, texts: &Texts) -> &'static str {
    match step {
        Step::Done => texts.state_done,
        Step::Now => texts.state_now,
        Step::ToCome => texts.state_to_come,
    }
}
