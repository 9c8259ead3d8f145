//! The parts that have changed. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::render::{PARTS, Reader, part};
use crate::seen::Seen;

/// What a reader is sent: the parts with their names, as JSON.
pub(super) type Frame = Arc<str>;

/// The parts as they were sent last.
#[derive(Debug, Default)]
pub(super) struct Parts(BTreeMap<&'static str, String>);

impl Parts {
    /// Takes what is seen now, and gives what has changed since; `None` if nothing has.
    pub(super) fn change(&mut self, seen: &Seen, reader: Reader) -> Option<Frame> {
        let texts = reader.language.texts();
        let mut changed = Map::new();
        for name in PARTS {
            let html = part(name, seen, reader.range, texts).into_string();
            if self.0.get(name) != Some(&html) {
                changed.insert(name.to_owned(), Value::String(html.clone()));
                self.0.insert(name, html);
            }
        }
        (!changed.is_empty()).then(|| Value::Object(changed).to_string().into())
    }

    /// All parts.
    pub(super) fn all(&self) -> Frame {
        let parts = self.0.iter().map(|(name, html)| ((*name).to_owned(), Value::String(html.clone())));
        Value::Object(parts.collect()).to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::examples::{followed, with};

    #[test]
    fn only_what_changes_is_sent() {
        let mut parts = Parts::default();
        let seen = followed(300);
        let first: Value = serde_json::from_str(&parts.change(&seen, Reader::default()).unwrap()).unwrap();
        assert_eq!(first.as_object().unwrap().len(), PARTS.len());
        assert!(parts.change(&seen, Reader::default()).is_none());
        let later = with(seen, |seen| seen.status.lag.as_mut().unwrap().millis = 400);
        let second: Value = serde_json::from_str(&parts.change(&later, Reader::default()).unwrap()).unwrap();
        let names: Vec<&String> = second.as_object().unwrap().keys().collect();
        assert_eq!(names, ["headline", "plots"], "what is spoken does not change with a number");
        let all: Value = serde_json::from_str(&parts.all()).unwrap();
        assert_eq!(all["headline"], second["headline"]);
    }
}
