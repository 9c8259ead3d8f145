//! A sentence of the table, with figures in it.

use maud::{Markup, PreEscaped, html};

use super::figures::Figure;
use super::table::Texts;

/// Chooses a text of a language.
pub(crate) type Text = fn(&Texts) -> &'static str;

/// A sentence in every language, with the figures that stand for `{0}`, `{1}` and so on in it.
#[derive(Debug, Clone)]
pub(crate) struct Phrase {
    text: Text,
    figures: Vec<Figure>,
}

/// A sentence of the table with figures.
pub(crate) fn say(text: Text, figures: impl Into<Vec<Figure>>) -> Phrase {
    Phrase { text, figures: figures.into() }
}

/// A part of a sentence.
enum Part<'a> {
    Text(&'a str),
    Figure(&'a Figure),
}

impl Phrase {
    fn parts<'a>(&'a self, texts: &Texts) -> Vec<Part<'a>> {
        let mut parts = Vec::new();
        let mut rest = (self.text)(texts);
        while let Some((before, (nth, after))) =
            rest.split_once('{').and_then(|(before, behind)| Some((before, behind.split_once('}')?)))
        {
            parts.push(Part::Text(before));
            parts.extend(nth.parse().ok().and_then(|nth: usize| self.figures.get(nth)).map(Part::Figure));
            rest = after;
        }
        parts.push(Part::Text(rest));
        parts
    }

    pub(crate) fn html(&self, texts: &Texts) -> Markup {
        html! {
            @for part in self.parts(texts) {
                @match part {
                    Part::Text(text) => (text),
                    Part::Figure(figure) => (PreEscaped(figure.html(texts).into_string())),
                }
            }
        }
    }

    pub(crate) fn plain(&self, texts: &Texts) -> String {
        let plain = |part: Part<'_>| match part {
            Part::Text(text) => text.to_owned(),
            Part::Figure(figure) => figure.plain(texts),
        };
        self.parts(texts).into_iter().map(plain).collect()
    }

    /// The sentence without its figures: what a person hears when it changes, and not when its numbers do.
    pub(crate) fn without_figures(&self, texts: &Texts) -> String {
        let text = |part: Part<'_>| match part {
            Part::Text(text) => text.to_owned(),
            Part::Figure(_) => "…".to_owned(),
        };
        self.parts(texts).into_iter().map(text).collect()
    }
}
