//! What is asked for before something is changed.

use maud::{Markup, html};

use crate::text::Texts;
use crate::view::cutover::STEPS;

/// A request that only needs the token.
struct Request<'a> {
    id: &'static str,
    method: &'static str,
    /// Under `/api/v1/`.
    path: &'static str,
    /// JSON.
    body: &'static str,
    title: &'a str,
    help: &'a str,
}

/// All dialogs. They are no live parts: what a person types stays.
pub(super) fn dialogs(target: &str, texts: &Texts) -> Markup {
    html! {
        (cutover(target, texts))
        @for request in requests(texts) { (asked(&request, texts)) }
    }
}

fn requests(texts: &Texts) -> [Request<'_>; 7] {
    let post = |id, path, body, title, help| Request { id, method: "POST", path, body, title, help };
    [
        post("release", "release", "{}", texts.cut_release, texts.cut_release_help),
        post("accept", "accept", "{}", texts.yes, texts.asks),
        post("refuse", "refuse", "{}", texts.no, texts.asks),
        post("check", "check", "{}", texts.check_start, texts.check_start_help),
        post("check-repair", "check", "{\"repair\":true}", texts.check_repair, texts.check_repair_help),
        Request { method: "DELETE", ..post("check-stop", "checks", "", texts.check_stop, "") },
        Request {
            method: "GET",
            ..post("differences", "checks/differences", "", texts.check_show, texts.check_show_help)
        },
    ]
}

fn token(id: &str, texts: &Texts) -> Markup {
    let (field, help) = (format!("ask-{id}-token"), format!("ask-{id}-token-help"));
    html! {
        label for=(field) { (texts.token) }
        input id=(field) name="token" type="password" autocomplete="off" aria-describedby=(help);
        p.quiet id=(help) { (texts.token_help) }
    }
}

fn asked(request: &Request<'_>, texts: &Texts) -> Markup {
    let Request { id, method, path, body, title, help } = request;
    let (dialog, heading) = (format!("ask-{id}"), format!("ask-{id}-title"));
    html! {
        dialog id=(dialog) aria-labelledby=(heading) {
            form data-method=(method) data-path=(path) data-body=(body) data-more=(texts.and_more)
                data-unreachable=(texts.unreachable) {
                h2 id=(heading) { (title) }
                @if !help.is_empty() { p { (help) } }
                (token(id, texts))
                p.answer role="alert" {}
                ul.keys hidden {}
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
        dialog id="ask-cutover" aria-labelledby="ask-cutover-title" {
            form data-method="POST" data-path="cutover" data-body="{}" data-target=(target)
                data-unreachable=(texts.unreachable) {
                h2 id="ask-cutover-title" { (texts.cut_over) }
                h3 { (texts.cut_what) }
                ol.plan { @for step in STEPS { li { (step(texts)) } } }
                p { (texts.cut_doubt) }
                (token("cutover", texts))
                p.actions.left { button type="submit" name="dry-run" { (texts.dry_run) } }
                p.answer role="alert" {}
                label for="ask-cutover-name" { (texts.cut_confirm) " " code { (target) } }
                input id="ask-cutover-name" name="target" type="text" autocomplete="off" spellcheck="false";
                p.actions {
                    button type="button" data-closes { (texts.cancel) }
                    button.danger type="submit" name="cut-over" disabled { (texts.cut_now) }
                }
            }
        }
    }
}
