//! The whole page.

use maud::{DOCTYPE, Markup, html};

use super::dialogs::dialogs;
use super::parts::{code, part};
use crate::seen::Seen;
use crate::text::{Language, Texts};
use crate::view::headline::Headline;
use crate::view::plots::Range;

/// How somebody reads the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Reader {
    pub language: Language,
    pub range: Range,
}

impl Reader {
    /// The part of the address that asks for this.
    fn query(self) -> String {
        format!("?lang={}&range={}", self.language.tag(), self.range.tag())
    }
}

/// The page for a reader; `version` changes with its script and its style sheet.
pub(crate) fn page(seen: &Seen, reader: Reader, version: &str) -> Markup {
    let texts = reader.language.texts();
    let title = Headline::of(seen).sentence.plain(texts);
    html! {
        (DOCTYPE)
        html lang=(reader.language.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · df2redis" }
                link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href=(format!("/assets/page.css?{version}"));
                script src=(format!("/assets/page.js?{version}")) defer {}
            }
            body data-events=(format!("/page/events{}", reader.query())) {
                a.skip href="#content" { (texts.skip) }
                (masthead(reader, texts))
                main id="content" { (sections(seen, reader, texts)) }
                (dialogs(&seen.status.target.address, texts))
            }
        }
    }
}

fn masthead(reader: Reader, texts: &Texts) -> Markup {
    html! {
        header.masthead {
            p.brand { strong { "df2redis" } " " span { (texts.title) } }
            p.touch role="status" data-live=(texts.live) data-lost=(texts.lost_touch) data-full=(texts.too_many_readers) {}
            nav aria-label=(texts.language) {
                @for language in Language::ALL {
                    a href=(Reader { language, ..reader }.query()) lang=(language.tag()) hreflang=(language.tag())
                        aria-current=[(language == reader.language).then_some("true")] { (language.own_name()) }
                }
            }
        }
        noscript { p.notice { (texts.no_script) } }
    }
}

fn live(name: &str, seen: &Seen, reader: Reader) -> Markup {
    html! { div data-part=(name) { (part(name, seen, reader.range, reader.language.texts())) } }
}

fn section(id: &str, title: &str, content: &Markup) -> Markup {
    let heading = format!("{id}-heading");
    html! {
        section id=(id) aria-labelledby=(heading) {
            h2 id=(heading) { (title) }
            (content)
        }
    }
}

/// A table that scrolls by itself.
fn table(name: &str, label: &str, seen: &Seen, reader: Reader) -> Markup {
    html! {
        div.card.table tabindex="0" role="group" aria-label=(label) data-part=(name) {
            (part(name, seen, reader.range, reader.language.texts()))
        }
    }
}

fn card(content: &Markup) -> Markup {
    html! { div.card { (content) } }
}

fn sections(seen: &Seen, reader: Reader, texts: &Texts) -> Markup {
    let live = |name| live(name, seen, reader);
    html! {
        section.first.card id="state" aria-labelledby="state-heading" {
            h1.hidden id="state-heading" { (texts.all_right) }
            (live("headline"))
            div.hidden aria-live="polite" aria-atomic="true" data-part="spoken" {
                (part("spoken", seen, reader.range, texts))
            }
            (live("question"))
            (live("sides"))
        }
        (section("way", texts.way, &card(&live("way"))))
        section id="speed" aria-labelledby="speed-heading" {
            div.bar {
                h2 id="speed-heading" { (texts.speed) }
                (ranges(reader, texts))
            }
            (live("plots"))
        }
        (section("flows", texts.flows, &html! {
            (table("flows", texts.flows_table, seen, reader))
            (table("nodes", texts.nodes_table, seen, reader))
        }))
        (section("safety", texts.safety, &card(&live("safety"))))
        (section("left-out", texts.left_out, &card(&live("left-out"))))
        (section("check", texts.check, &card(&live("check"))))
        (section("events", texts.events, &html! {
            div.card.log tabindex="0" role="group" aria-labelledby="events-heading" data-part="events" {
                (part("events", seen, reader.range, texts))
            }
        }))
        (section("cut-over", texts.cut_over, &html! {
            div.card {
                (live("cutover"))
                noscript { p.quiet { (code(texts.cut_command)) } }
            }
        }))
    }
}

fn ranges(reader: Reader, texts: &Texts) -> Markup {
    html! {
        nav.ranges aria-label=(texts.range) {
            @for range in Range::ALL {
                a href=(format!("{}#speed", Reader { range, ..reader }.query()))
                    aria-current=[(range == reader.range).then_some("true")] { (range.name(texts)) }
            }
        }
    }
}
