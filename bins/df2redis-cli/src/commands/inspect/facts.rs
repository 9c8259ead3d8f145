//! Facts about a key without its value.

use std::collections::HashMap;

use dfly_rdb::{
    Element, Elements, Event, KeyHeader, ModulePart, RawValue, TypeId, ValueError, ValueId, ValueKind,
};

/// A key and the size of its value.
#[derive(Debug, Clone)]
pub(super) struct KeyFacts {
    pub header: KeyHeader,
    pub kind: ValueKind,
    pub encoding: &'static str,
    /// Size of the serialised key and value, in bytes.
    pub bytes: u64,
    /// Number of elements: 1 for a value without elements, 0 if elements are not counted.
    pub elements: u64,
}

/// A value that could not be read.
pub(super) struct Damaged {
    pub header: KeyHeader,
    pub error: ValueError,
}

/// Collects facts from events. It identifies incomplete values by their ids.
#[derive(Debug, Default)]
pub(super) struct KeyMeter {
    open: HashMap<ValueId, KeyFacts>,
    /// Whether elements are counted, which requires reading every element.
    counting: bool,
}

impl KeyMeter {
    /// A meter that counts elements.
    pub(super) fn counting() -> Self {
        Self { counting: true, ..Self::default() }
    }

    /// The facts of the key that the event completes.
    pub(super) fn event(&mut self, event: &Event) -> Result<Option<KeyFacts>, Box<Damaged>> {
        match event {
            Event::Entry(entry) => self.whole(&entry.header, &entry.value).map(Some),
            Event::Open { id, header, type_id } => {
                self.open.insert(*id, KeyFacts::open(header, *type_id));
                Ok(None)
            }
            Event::Piece { id, piece } => {
                if let Some(facts) = self.open.get_mut(id) {
                    facts.bytes += piece.bytes().len() as u64;
                    let counting = self.counting && facts.kind.is_collection();
                    let module = matches!(facts.kind, ValueKind::Module(None));
                    if counting || module {
                        let count = count(piece.elements(), &mut facts.kind);
                        let count = count.map_err(|error| damaged(&facts.header, error))?;
                        facts.elements += if counting { count } else { 0 };
                    }
                }
                Ok(None)
            }
            Event::Close { id } => Ok(self.open.remove(id)),
            _ => Ok(None),
        }
    }

    fn whole(&self, header: &KeyHeader, value: &RawValue) -> Result<KeyFacts, Box<Damaged>> {
        let mut facts = KeyFacts::open(header, value.type_id());
        facts.kind = value.kind();
        facts.bytes += value.payload().len() as u64;
        let read = || -> Result<(&'static str, u64), ValueError> {
            let encoding = encoding(value)?;
            let counting = self.counting && facts.kind.is_collection();
            Ok((
                encoding,
                if counting { count(value.elements(), &mut facts.kind.clone())? } else { facts.elements },
            ))
        };
        (facts.encoding, facts.elements) = read().map_err(|error| damaged(header, error))?;
        Ok(facts)
    }
}

impl KeyFacts {
    fn open(header: &KeyHeader, type_id: TypeId) -> Self {
        let kind = type_id.kind();
        let elements = u64::from(!kind.is_collection());
        let bytes = header.key.len() as u64;
        Self { header: header.clone(), kind, encoding: type_id.encoding_name(), bytes, elements }
    }
}

fn damaged(header: &KeyHeader, error: ValueError) -> Box<Damaged> {
    Box::new(Damaged { header: header.clone(), error })
}

/// Counts the elements, and stores a module's type name in `kind`.
fn count(elements: Elements<'_>, kind: &mut ValueKind) -> Result<u64, ValueError> {
    let mut count = 0;
    for element in elements {
        match element? {
            Element::StreamTail(_) => {}
            Element::Module(ModulePart::Id(id)) => *kind = ValueKind::Module(Some(id)),
            _ => count += 1,
        }
    }
    Ok(count)
}

/// Up to this number of bytes, Redis stores a string inside its object (`OBJ_ENCODING_EMBSTR_SIZE_LIMIT`).
const EMBEDDED: usize = 44;

/// The encoding that `OBJECT ENCODING` of a Redis would report. A file does not record how a string was kept in memory, but
/// a server that loads the string chooses the encoding by its text.
pub(super) fn encoding(value: &RawValue) -> Result<&'static str, ValueError> {
    if value.type_id() != TypeId::String {
        return Ok(value.type_id().encoding_name());
    }
    let Some(Element::String(text)) = value.elements().next().transpose()? else { return Ok("embstr") };
    if text.len() > EMBEDDED {
        return Ok("raw");
    }
    let bytes = text.to_vec();
    let number = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse::<i64>().ok());
    let is_int = number.is_some_and(|number| number.to_string().as_bytes() == bytes);
    Ok(if is_int { "int" } else { "embstr" })
}
