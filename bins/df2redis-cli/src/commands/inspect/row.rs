//! One key as a JSON object, with the fields of the recorded expectations: `db`, `key`, `type`, `encoding`, `expire_at_ms`,
//! `value`, and the expiries of members and fields.

use dfly_rdb::{
    Element, KeyHeader, ModulePart, StreamConsumer, StreamEntry, StreamGroup, StreamPending, StreamTail,
    Text, TypeId, ValueKind,
};
use dfly_wire::UnixMillis;

use super::text::{ByteForm, Parts};

/// Elements as text, each with its sort key.
type Sorted = Vec<(Vec<u8>, Vec<u8>)>;

/// The module type whose first string is JSON text (RedisJSON, `rejson_rdb_save`).
const REJSON: &str = "ReJSON-RL";

/// Writes the value of one key, element by element.
///
/// `value` gets the text after `"value":`. `expiries` gets the members of an object, for keys with expiries of members or
/// fields.
pub(super) struct RowWriter {
    form: ByteForm,
    type_id: TypeId,
    kind: ValueKind,
    /// The time when the file was written, in milliseconds since 1970.
    written_at: Option<i64>,
    text: Parts,
    written: u64,
    expiries: u64,
    /// Elements that wait to be sorted, or `None` if they arrive in parts.
    sorted: Option<Sorted>,
}

/// The text of a row that grows.
#[derive(Debug, Default)]
pub(super) struct RowText {
    pub value: Vec<u8>,
    pub expiries: Vec<u8>,
}

impl RowWriter {
    pub(super) fn new(type_id: TypeId, form: ByteForm, written_at: Option<i64>) -> Self {
        let kind = type_id.kind();
        Self {
            form,
            type_id,
            kind,
            written_at,
            text: Parts::new(form),
            written: 0,
            expiries: 0,
            sorted: None,
        }
    }

    /// A writer for a whole value, which sorts members and fields.
    pub(super) fn whole(self) -> Self {
        let sorts = matches!(self.kind, ValueKind::Set | ValueKind::Hash | ValueKind::SortedSet);
        Self { sorted: sorts.then(Vec::new), ..self }
    }

    pub(super) fn kind(&self) -> ValueKind {
        self.kind
    }

    pub(super) fn element(&mut self, element: Element<'_>, out: &mut RowText) {
        match element {
            Element::String(text) | Element::Json(text) => self.part(&text, &mut out.value),
            Element::Item(item) => {
                self.comma(&mut out.value, b'[');
                self.form.json(&item.to_vec(), &mut out.value);
            }
            Element::Member { member, expire_at } => {
                let raw = member.to_vec();
                let text = self.json(&raw);
                self.expiry(&text, expire_at, &mut out.expiries);
                self.place(raw, text, &mut out.value);
            }
            Element::Field { field, value, expire_at } => {
                let name = self.json(&field.to_vec());
                let seconds = expire_at.filter(|_| self.type_id == TypeId::HashWithExpiry);
                let seconds =
                    seconds.and_then(|at| self.seconds(at)).map_or("null".into(), |s| s.to_string());
                let text =
                    [b"[", &name[..], b", ", &self.json(&value.to_vec()), b", ", seconds.as_bytes(), b"]"];
                let text = text.concat();
                self.expiry(&name, expire_at, &mut out.expiries);
                self.place(name, text, &mut out.value);
            }
            Element::Scored { member, score } => {
                let name = self.json(&member.to_vec());
                let text = [b"[", &name[..], b", \"", score_text(score).as_bytes(), b"\"]"].concat();
                self.place(name, text, &mut out.value);
            }
            Element::StreamEntry(entry) => self.stream_entry(&entry, &mut out.value),
            Element::StreamTail(tail) => self.stream_tail(&tail, &mut out.value),
            Element::Module(ModulePart::Id(id)) => self.kind = ValueKind::Module(Some(id)),
            Element::Module(ModulePart::String(text)) if self.is_rejson() && self.written == 0 => {
                self.part(&text, &mut out.value);
            }
            // A client cannot read the value of a sketch.
            _ => {}
        }
    }

    /// Writes the text after the last element.
    pub(super) fn end(&mut self, out: &mut RowText) {
        if let Some(mut sorted) = self.sorted.take() {
            sorted.sort();
            for (_, text) in sorted {
                self.comma(&mut out.value, b'[');
                out.value.extend(text);
            }
        }
        let value = &mut out.value;
        match self.kind {
            ValueKind::String | ValueKind::Json => self.end_text(value),
            ValueKind::Stream => {}
            ValueKind::List | ValueKind::Set | ValueKind::Hash | ValueKind::SortedSet => {
                value.extend_from_slice(if self.written == 0 { b"[]" } else { b"]" });
            }
            _ if self.written > 0 => self.end_text(value),
            _ => value.extend_from_slice(b"null"),
        }
    }

    /// The text before the value. It is written last, because only then is the encoding of a string in parts known.
    pub(super) fn head(&self, header: &KeyHeader, encoding: &str) -> Vec<u8> {
        let expire_at = header.expire_at.map_or(-1, |at| at.0);
        let mut out = format!("{{\"db\": {}, \"key\": ", header.db.0).into_bytes();
        self.form.json(&header.key, &mut out);
        let rest = format!(
            ", \"type\": \"{}\", \"encoding\": \"{encoding}\", \"expire_at_ms\": {expire_at}, \"value\": ",
            self.kind
        );
        out.extend_from_slice(rest.as_bytes());
        out
    }

    /// The text before and after the expiries, or `None` if there are no expiries.
    pub(super) fn expiry_frame(&self) -> Option<(&'static [u8], &'static [u8])> {
        let name = match self.kind {
            ValueKind::Set => &b", \"member_ttl\": {"[..],
            _ => b", \"field_expire_at_ms\": {",
        };
        (self.expiries > 0).then_some((name, b"}"))
    }

    fn is_rejson(&self) -> bool {
        matches!(self.kind, ValueKind::Module(Some(id)) if id.to_string() == REJSON)
    }

    fn json(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.form.json(bytes, &mut out);
        out
    }

    fn part(&mut self, text: &Text<'_>, out: &mut Vec<u8>) {
        if self.written == 0 {
            out.push(b'"');
        }
        self.written += 1;
        self.text.add(&text.to_vec(), out);
    }

    fn end_text(&mut self, out: &mut Vec<u8>) {
        if self.written == 0 {
            out.push(b'"');
        }
        self.text.end(out);
        out.push(b'"');
    }

    /// Writes the text before an element: `open` before the first one, a comma before the others.
    fn comma(&mut self, out: &mut Vec<u8>, open: u8) {
        if self.written == 0 {
            out.push(open);
        } else {
            out.extend_from_slice(b", ");
        }
        self.written += 1;
    }

    fn place(&mut self, name: Vec<u8>, text: Vec<u8>, out: &mut Vec<u8>) {
        if let Some(sorted) = &mut self.sorted {
            sorted.push((name, text));
        } else {
            self.comma(out, b'[');
            out.extend(text);
        }
    }

    /// Seconds that remained when the file was written.
    fn seconds(&self, at: UnixMillis) -> Option<i64> {
        self.written_at.map(|from| at.0.saturating_sub(from).max(0) / 1000)
    }

    fn expiry(&mut self, name: &[u8], at: Option<UnixMillis>, out: &mut Vec<u8>) {
        let Some(at) = at else { return };
        let number = if self.kind == ValueKind::Set { self.seconds(at).unwrap_or(at.0 / 1000) } else { at.0 };
        if self.expiries > 0 {
            out.extend_from_slice(b", ");
        }
        self.expiries += 1;
        out.extend_from_slice(name);
        out.extend_from_slice(format!(": {number}").as_bytes());
    }

    fn stream_entry(&mut self, entry: &StreamEntry<'_>, out: &mut Vec<u8>) {
        if self.written == 0 {
            out.extend_from_slice(b"{\"entries\": ");
        }
        self.comma(out, b'[');
        let words = entry.fields().flat_map(|(name, value)| [name.to_vec(), value.to_vec()]);
        let words: Vec<Vec<u8>> = words.map(|word| self.json(&word)).collect();
        out.extend_from_slice(b"[");
        out.extend(self.json(entry.id().to_string().as_bytes()));
        out.extend_from_slice(b", [");
        out.extend(words.join(&b", "[..]));
        out.extend_from_slice(b"]]");
    }

    /// Writes the reply of `XINFO STREAM key FULL`, without the entries and the sizes of the tree.
    fn stream_tail(&mut self, tail: &StreamTail, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.written == 0 { b"{\"entries\": []" } else { b"]" });
        self.written += 1;
        let info = Info(self.form);
        let mut all = vec![
            info.pair("length", &tail.length.to_string()),
            info.pair("last-generated-id", &info.text(&tail.last_id.to_string())),
        ];
        for (name, id) in
            [("max-deleted-entry-id", tail.max_deleted_id), ("recorded-first-entry-id", tail.first_id)]
        {
            all.extend(id.map(|id| info.pair(name, &info.text(&id.to_string()))));
        }
        all.extend(tail.entries_added.map(|added| info.pair("entries-added", &added.to_string())));
        if let Some(kept) = tail.producers {
            all.push(info.pair("idmp-duration", &kept.duration_seconds.to_string()));
            all.push(info.pair("idmp-maxsize", &kept.max_entries.to_string()));
        }
        let v2 = tail.entries_added.is_some();
        let groups: Vec<String> =
            tail.groups.iter().map(|group| info.group(group, v2, self.type_id)).collect();
        all.push(info.pair("groups", &list(&groups)));
        out.extend_from_slice(format!(", \"info\": {}}}", list(&all)).as_bytes());
    }
}

/// Writes lists in which names and values alternate.
struct Info(ByteForm);

impl Info {
    fn text(&self, text: &str) -> String {
        self.bytes(text.as_bytes())
    }

    fn bytes(&self, bytes: &[u8]) -> String {
        let mut out = Vec::new();
        self.0.json(bytes, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    fn pair(&self, name: &str, value: &str) -> String {
        format!("{}, {value}", self.text(name))
    }

    fn group(&self, group: &StreamGroup, v2: bool, type_id: TypeId) -> String {
        let mut all = vec![
            self.pair("name", &self.bytes(&group.name)),
            self.pair("last-delivered-id", &self.text(&group.last_id.to_string())),
        ];
        if v2 {
            let read = group.entries_read.map_or_else(|| "null".to_owned(), |read| read.to_string());
            all.push(self.pair("entries-read", &read));
        }
        let name = |pending: &StreamPending| {
            let consumer = pending.consumer.and_then(|index| group.consumers.get(index));
            self.bytes(consumer.map_or(&b""[..], |consumer| &consumer.name))
        };
        let pending = group.pending.iter().map(|p| {
            format!("[{}, {}, {}, {}]", self.text(&p.id.to_string()), name(p), p.delivered_at, p.deliveries)
        });
        all.push(self.pair("pel-count", &group.pending.len().to_string()));
        all.push(self.pair("pending", &list(&pending.collect::<Vec<_>>())));
        let consumers = group.consumers.iter().enumerate();
        let consumers = consumers.map(|(index, consumer)| {
            let own: Vec<&StreamPending> =
                group.pending.iter().filter(|p| p.consumer == Some(index)).collect();
            self.consumer(consumer, &own, type_id)
        });
        all.push(self.pair("consumers", &list(&consumers.collect::<Vec<_>>())));
        list(&all)
    }

    fn consumer(&self, consumer: &StreamConsumer, own: &[&StreamPending], type_id: TypeId) -> String {
        let mut all = vec![
            self.pair("name", &self.bytes(&consumer.name)),
            self.pair("seen-time", &consumer.seen_at.to_string()),
        ];
        if matches!(type_id, TypeId::Stream3 | TypeId::Stream4) {
            all.push(self.pair("active-time", &consumer.active_at.map_or(-1, |at| at.0).to_string()));
        }
        let pending = own
            .iter()
            .map(|p| format!("[{}, {}, {}]", self.text(&p.id.to_string()), p.delivered_at, p.deliveries));
        all.push(self.pair("pel-count", &own.len().to_string()));
        all.push(self.pair("pending", &list(&pending.collect::<Vec<_>>())));
        list(&all)
    }
}

fn list(items: &[String]) -> String {
    format!("[{}]", items.join(", "))
}

/// A whole number below 2^53 without a decimal point. Any other number in the shortest form that reads back to the same
/// number.
fn score_text(score: f64) -> String {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match score {
        f64::INFINITY => "inf".to_owned(),
        f64::NEG_INFINITY => "-inf".to_owned(),
        whole if whole.fract() == 0.0 && whole.abs() < EXACT => format!("{whole:.0}"),
        other => zmij::Buffer::new().format(other).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores() {
        for (score, text) in [
            (5.0, "5"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (f64::INFINITY, "inf"),
            (3_479_447_370_796_909.0, "3479447370796909"),
        ] {
            assert_eq!(score_text(score), text);
        }
        for score in [1e300, -1e-300, 9_007_199_254_740_993.0, 123.456] {
            assert_eq!(score_text(score).parse::<f64>().unwrap().to_bits(), score.to_bits());
        }
    }
}
