//! What is asked for before something is changed.

use maud::{Markup, html};

use crate::text::Texts;
use crate::view::cutover::STEPS;

/// All dialogs. They are no live parts: what a person types stays.
pub(super) fn dialogs(target: &str, texts: &Texts) -> Markup {
    html! {
        (cutover(target, texts))
        (plain("release", texts.cut_release, texts.cut_release_help, texts))
        (plain("accept", texts.yes, "", texts))
        (plain("refuse", texts.no, "", texts))
    }
}

fn token(id: &str, texts: &Texts) -> Markup {
    let (field, help) = (format!("{id}-token"), format!("{id}-token-help"));
    html! {
        label for=(field) { (texts.token) }
        input id=(field) name="token" type="password" autocomplete="off" aria-describedby=(help);
        p.quiet id=(help) { (texts.token_help) }
    }
}

fn plain(request: &str, title: &str, help: &str, texts: &Texts) -> Markup {
    let heading = format!("{request}-title");
    html! {
        dialog id=(request) aria-labelledby=(heading) {
            form data-request=(request) {
                h2 id=(heading) { (title) }
                @if !help.is_empty() { p { (help) } }
                (token(request, texts))
                p.answer role="alert" {}
                p.actions {
                    button type="button" data-closes { (texts.cancel) }
                    button.primary type="submit" { (title) }
                }
            }
        }
    }
}

fn cutover(target: &str, texts: &Texts) -> Markup {
    html! {
        dialog id="cutover" aria-labelledby="cutover-title" {
            form data-request="cutover" data-target=(target) {
                h2 id="cutover-title" { (texts.cut_over) }
                h3 { (texts.cut_what) }
                ol.plan { @for step in STEPS { li { (step(texts)) } } }
                p { (texts.cut_doubt) }
                (token("cutover", texts))
                p.actions.left { button type="submit" name="dry-run" formnovalidate { (texts.dry_run) } }
                p.answer role="alert" {}
                label for="cutover-name" { (texts.cut_confirm) " " code { (target) } }
                input id="cutover-name" name="target" type="text" autocomplete="off" spellcheck="false";
                p.actions {
                    button type="button" data-closes { (texts.cancel) }
                    button.danger type="submit" name="cut-over" disabled { (texts.cut_now) }
                }
            }
        }
    }
}
