//! Iterates over the elements of a value or of a piece of one.

use dfly_wire::{FaultKind, ParseError, UnixMillis};

use super::element::{BloomPart, CountMinPart, CuckooPart, Element, ModulePart, TopKPart};
use super::stream::{StreamNode, StreamTail};
use crate::error::ValueError;
use crate::pack::intset::{Intset, IntsetIter};
use crate::pack::listpack::{Listpack, ListpackIter};
use crate::pack::ziplist::{Ziplist, ZiplistIter};
use crate::pack::zipmap::{Zipmap, ZipmapIter};
use crate::scan::{Scanner, TailUnit, Unit};
use crate::string::Str;
use crate::text::{IntBuffer, Text};
use crate::type_id::{Class, TypeId};

/// The elements of a value or of a piece of it, in the order of the payload. The iteration ends after the first error.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    scanner: Scanner,
    input: &'a [u8],
    rest: &'a [u8],
    /// The container that is being iterated.
    inner: Option<Inner<'a>>,
    /// Whether the input is a whole value.
    whole: bool,
    over: bool,
}

#[derive(Debug, Clone)]
enum Inner<'a> {
    Listpack(ListpackIter<'a>),
    Ziplist(ZiplistIter<'a>),
    Intset(IntsetIter<'a>),
    Zipmap(ZipmapIter<'a>),
    Stream(Box<StreamNode<'a>>),
}

type Next<'a> = Option<Result<Element<'a>, ValueError>>;

impl<'a> Elements<'a> {
    pub(crate) fn whole(type_id: TypeId, input: &'a [u8]) -> Self {
        Self {
            scanner: Scanner::in_memory(type_id),
            input,
            rest: input,
            inner: None,
            whole: true,
            over: false,
        }
    }

    pub(crate) fn part(scanner: Scanner, input: &'a [u8]) -> Self {
        Self { scanner, input, rest: input, inner: None, whole: false, over: false }
    }

    /// The next element after the open container.
    fn outer(&mut self) -> Next<'a> {
        self.inner = None;
        if self.over {
            return None;
        }
        let next = self.step();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }

    fn step(&mut self) -> Next<'a> {
        loop {
            if self.rest.is_empty() && (self.scanner.is_done() || !self.whole) {
                return None;
            }
            match self.unit().and_then(|unit| self.element(unit)) {
                Ok(None) => {}
                Ok(Some(element)) => return Some(Ok(element)),
                Err(error) => return Some(Err(error)),
            }
            if let Some(next) = self.inner() {
                return Some(next);
            }
        }
    }

    fn unit(&mut self) -> Result<Unit<'a>, ValueError> {
        if self.scanner.is_done() {
            return Err(ValueError::Trailing { at: self.input.len() - self.rest.len() });
        }
        let (rest, unit) = self.scanner.next(self.rest).map_err(|error| located(error, self.input.len()))?;
        self.rest = rest;
        Ok(unit)
    }

    /// The element of a unit; `None` if the unit opens a container or has no element.
    fn element(&mut self, unit: Unit<'a>) -> Result<Option<Element<'a>>, ValueError> {
        Ok(Some(match unit {
            Unit::Silent => return Ok(None),
            Unit::Field { field, value, expire_at } => {
                Element::Field { field: field.text()?, value: value.text()?, expire_at }
            }
            Unit::Member { member, expire_at } => Element::Member { member: member.text()?, expire_at },
            Unit::Scored { member, score } => {
                Element::Scored { member: member.text()?, score: number(score)? }
            }
            Unit::Item(item) | Unit::PlainNode(item) => Element::Item(item.text()?),
            Unit::Part(part) => self.string(Text::Raw(part)),
            Unit::Whole(whole) if self.scanner.type_id().is_text() => self.string(whole.text()?),
            Unit::Whole(container) | Unit::PackedNode(container) => {
                self.inner = Some(open(self.scanner.type_id(), container)?);
                return Ok(None);
            }
            Unit::StreamNode { first, listpack } => {
                let node = StreamNode::new(first, &Listpack::new(listpack)?)?;
                self.inner = Some(Inner::Stream(Box::new(node)));
                return Ok(None);
            }
            Unit::Tail(first) => Element::StreamTail(Box::new(self.tail(first)?)),
            other => return sketch(self.scanner.type_id(), other).map(Some),
        }))
    }

    fn string(&self, text: Text<'a>) -> Element<'a> {
        if self.scanner.type_id() == TypeId::Json { Element::Json(text) } else { Element::String(text) }
    }

    /// The whole tail, which starts with the unit `first`.
    fn tail(&mut self, first: TailUnit<'a>) -> Result<StreamTail, ValueError> {
        let mut tail = StreamTail::default();
        tail.add(first)?;
        while !self.scanner.is_done() {
            if let Unit::Tail(unit) = self.unit()? {
                tail.add(unit)?;
            }
        }
        Ok(tail)
    }

    /// The next element of the open container. An error ends the iteration.
    #[inline]
    fn inner(&mut self) -> Next<'a> {
        let next = match self.inner.as_mut()? {
            Inner::Stream(node) => node.next().map(|entry| entry.map(Element::StreamEntry)),
            texts => texts.element(self.scanner.type_id()),
        };
        if let Some(Err(_)) = next {
            (self.inner, self.over) = (None, true);
        }
        next
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, ValueError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.inner() {
            None => self.outer(),
            next => next,
        }
    }
}

/// Opens a container of texts.
fn open(type_id: TypeId, container: Str<'_>) -> Result<Inner<'_>, ValueError> {
    Ok(match type_id {
        TypeId::SetIntset => Inner::Intset(Intset::new(container)?.iter()),
        TypeId::HashZipmap => Inner::Zipmap(Zipmap::new(container)?.iter()),
        TypeId::ListZiplist | TypeId::ListQuicklist | TypeId::SortedSetZiplist | TypeId::HashZiplist => {
            Inner::Ziplist(Ziplist::new(container)?.iter())
        }
        _ => Inner::Listpack(Listpack::new(container)?.iter()),
    })
}

impl<'a> Inner<'a> {
    #[inline]
    fn text(&mut self) -> Option<Result<Text<'a>, ValueError>> {
        match self {
            Self::Listpack(texts) => texts.next(),
            Self::Ziplist(texts) => texts.next(),
            Self::Zipmap(texts) => texts.next(),
            Self::Intset(_) | Self::Stream(_) => None,
        }
    }

    /// The text that must follow.
    #[inline]
    fn partner(&mut self) -> Result<Text<'a>, ValueError> {
        self.text().unwrap_or(Err(ValueError::Unpaired))
    }

    /// The next element, of one, two or three texts, by the type.
    #[inline]
    fn element(&mut self, type_id: TypeId) -> Next<'a> {
        if let Self::Intset(members) = self {
            let member = Text::Int(members.next()?);
            return Some(Ok(Element::Member { member, expire_at: None }));
        }
        match self.text()? {
            Ok(first) => Some(self.complete(type_id, first)),
            Err(error) => Some(Err(error)),
        }
    }

    #[inline]
    fn complete(&mut self, type_id: TypeId, first: Text<'a>) -> Result<Element<'a>, ValueError> {
        Ok(match type_id.class() {
            Class::List => Element::Item(first),
            Class::Set => Element::Member { member: first, expire_at: None },
            Class::SortedSet => Element::Scored { member: first, score: score(&self.partner()?)? },
            _ => {
                let value = self.partner()?;
                let triple = matches!(type_id, TypeId::HashListpackEx | TypeId::HashListpackExPreGa);
                let expire_at = if triple { expiry(&self.partner()?)? } else { None };
                Element::Field { field: first, value, expire_at }
            }
        })
    }
}

fn score(text: &Text<'_>) -> Result<f64, ValueError> {
    #[expect(clippy::cast_precision_loss, reason = "a score is a double; the server rounds in the same way")]
    let score = match text {
        Text::Int(value) => Some(*value as f64),
        other => {
            std::str::from_utf8(other.as_bytes(&mut IntBuffer::new())).ok().and_then(|text| text.parse().ok())
        }
    };
    score.ok_or(ValueError::Score).and_then(number)
}

fn number(score: f64) -> Result<f64, ValueError> {
    if score.is_nan() { Err(ValueError::Score) } else { Ok(score) }
}

/// Redis 7.4: absolute milliseconds, 0 for none.
fn expiry(text: &Text<'_>) -> Result<Option<UnixMillis>, ValueError> {
    let at = text.as_i64().ok_or(ValueError::Expiry)?;
    Ok((at != 0).then_some(UnixMillis(at)))
}

/// The element of a unit of a sketch or module.
fn sketch(type_id: TypeId, unit: Unit<'_>) -> Result<Element<'_>, ValueError> {
    Ok(match (unit, type_id.class()) {
        (Unit::ModuleId(id), _) => Element::Module(ModulePart::Id(id)),
        (Unit::ModuleSigned(n), _) => Element::Module(ModulePart::Signed(n)),
        (Unit::ModuleUnsigned(n), _) => Element::Module(ModulePart::Unsigned(n)),
        (Unit::ModuleFloat(n), _) => Element::Module(ModulePart::Float(n)),
        (Unit::ModuleDouble(n), _) => Element::Module(ModulePart::Double(n)),
        (Unit::ModuleString(text), _) => Element::Module(ModulePart::String(text.text()?)),
        (Unit::BloomHeader(header), _) => Element::Bloom(BloomPart::Header(header)),
        (Unit::CountMinHeader(header), _) => Element::CountMinSketch(CountMinPart::Header(header)),
        (Unit::TopKHeader(header), _) => Element::TopK(TopKPart::Header(header)),
        (Unit::CuckooHeader(header), _) => Element::Cuckoo(CuckooPart::Header(header)),
        (Unit::TopKItem { item, count }, _) => Element::TopK(TopKPart::Item { item: item.text()?, count }),
        (Unit::Filter { size, .. }, Class::Cuckoo) => {
            Element::Cuckoo(CuckooPart::Filter { size: size.unwrap_or_default() })
        }
        (Unit::Filter { hash_count, size }, _) => Element::Bloom(BloomPart::Filter { hash_count, size }),
        (Unit::FilterBits(bits), _) => Element::Bloom(BloomPart::Bits(bits.text()?)),
        (Unit::Run(bytes), Class::CountMinSketch) => Element::CountMinSketch(CountMinPart::Counters(bytes)),
        (Unit::Run(bytes), Class::TopK) => Element::TopK(TopKPart::Counters(bytes)),
        (Unit::Run(bytes), Class::Cuckoo) => Element::Cuckoo(CuckooPart::Buckets(bytes)),
        (Unit::Run(bytes), _) => Element::Bloom(BloomPart::Bits(Text::Raw(bytes))),
        _ => return Err(ValueError::Malformed { at: 0, kind: FaultKind::Invalid("no element") }),
    })
}

/// The error of a scanner, with its offset in the payload of `length` bytes.
pub(crate) fn located(error: ParseError, length: usize) -> ValueError {
    match error {
        ParseError::Incomplete(_) => ValueError::Truncated { at: length },
        ParseError::Invalid(fault) => {
            ValueError::Malformed { at: length.saturating_sub(fault.remaining), kind: fault.kind }
        }
    }
}
