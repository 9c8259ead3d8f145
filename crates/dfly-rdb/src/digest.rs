//! A digest of the content of a value that does not depend on its encoding, its order in memory, or its pieces.

use dfly_wire::UnixMillis;
use xxhash_rust::xxh3::Xxh3Default;

use crate::stream_id::StreamId;
use crate::text::{IntBuffer, Text};
use crate::value::stream::{StreamGroup, StreamTail};
use crate::value::{BloomPart, CountMinPart, CuckooPart, Element, ModulePart, TopKPart};

/// Computes a digest element by element, in constant memory: the 128-bit XXH3 of ordered content, and the sum of the
/// XXH3 of each element of sets, hashes and sorted sets.
///
/// Values with the same content have the same digest; different values have the same one with a probability of 1 in 2^128.
/// XXH3 is not a cryptographic hash: collisions can be constructed.
///
/// The digest covers only what every encoding holds. For streams it omits the counts of deleted and added entries, the
/// number of entries that groups have read, and the times when consumers were seen. JSON is compared as text.
///
/// ```
/// use dfly_rdb::digest::ContentDigest;
/// use dfly_rdb::{RawValue, TypeId};
///
/// let digest = |type_id: TypeId, payload: &'static [u8]| {
///     let mut digest = ContentDigest::default();
///     RawValue::new(type_id, payload.into()).elements().for_each(|element| digest.add(&element.unwrap()));
///     digest.finish()
/// };
/// let set = digest(TypeId::Set, b"\x02\xc0\x07\xc0\x05");
/// let intset = digest(TypeId::SetIntset, b"\x0c\x02\0\0\0\x02\0\0\0\x05\0\x07\0");
/// assert_eq!(set, intset);
/// assert_ne!(set, digest(TypeId::Set, b"\x01\xc0\x05"));
/// ```
#[derive(Default)]
pub struct ContentDigest {
    ordered: Xxh3Default,
    unordered: u128,
    elements: u64,
}

impl std::fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ContentDigest").field(&format_args!("{:032x}", self.finish())).finish()
    }
}

impl ContentDigest {
    /// Adds an element, or a part of a string.
    pub fn add(&mut self, element: &Element<'_>) {
        match element {
            // Parts of one text: the digest must not depend on where the text was split.
            Element::String(text) | Element::Json(text) => {
                self.ordered.update(text.as_bytes(&mut IntBuffer::new()));
            }
            Element::Item(text) => {
                self.elements += 1;
                Sink(&mut self.ordered).text(text);
            }
            Element::Member { .. } | Element::Field { .. } | Element::Scored { .. } => {
                self.elements += 1;
                self.unordered = self.unordered.wrapping_add(element_digest(element));
            }
            Element::StreamEntry(entry) => {
                self.elements += 1;
                let mut sink = Sink(&mut self.ordered);
                sink.id(entry.id());
                sink.number(entry.len());
                for (name, value) in entry.fields() {
                    sink.text(&name);
                    sink.text(&value);
                }
            }
            Element::StreamTail(tail) => Sink(&mut self.ordered).tail(tail),
            sketch => Sink(&mut self.ordered).sketch(sketch),
        }
    }

    /// The digest of the added elements.
    pub fn finish(&self) -> u128 {
        let mut all = self.ordered.clone();
        all.update(&self.unordered.to_le_bytes());
        all.update(&self.elements.to_le_bytes());
        all.digest128()
    }
}

fn element_digest(element: &Element<'_>) -> u128 {
    let mut hash = Xxh3Default::new();
    let mut sink = Sink(&mut hash);
    match element {
        Element::Member { member, expire_at } => {
            sink.text(member);
            sink.expiry(*expire_at);
        }
        Element::Field { field, value, expire_at } => {
            sink.text(field);
            sink.text(value);
            sink.expiry(*expire_at);
        }
        Element::Scored { member, score } => {
            sink.text(member);
            // Encodings with scores as text do not keep the sign of zero.
            sink.number((if *score == 0.0 { 0.0 } else { *score }).to_bits());
        }
        _ => {}
    }
    hash.digest128()
}

/// Hashes values with their lengths, so that different sequences of values give different input.
struct Sink<'a>(&'a mut Xxh3Default);

impl Sink<'_> {
    fn number(&mut self, value: u64) {
        self.0.update(&value.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn text(&mut self, text: &Text<'_>) {
        self.bytes(text.as_bytes(&mut IntBuffer::new()));
    }

    fn expiry(&mut self, at: Option<UnixMillis>) {
        self.0.update(&at.map_or(i64::MIN, |at| at.0).to_le_bytes());
    }

    fn id(&mut self, id: StreamId) {
        self.number(id.ms);
        self.number(id.seq);
    }

    fn tail(&mut self, tail: &StreamTail) {
        self.number(tail.length);
        self.id(tail.last_id);
        self.number(tail.groups.len() as u64);
        for group in &tail.groups {
            self.group(group);
        }
    }

    fn group(&mut self, group: &StreamGroup) {
        self.bytes(&group.name);
        self.id(group.last_id);
        self.number(group.consumers.len() as u64);
        group.consumers.iter().for_each(|consumer| self.bytes(&consumer.name));
        self.number(group.pending.len() as u64);
        for pending in &group.pending {
            self.id(pending.id);
            self.0.update(&pending.delivered_at.0.to_le_bytes());
            self.number(pending.deliveries);
            self.number(pending.consumer.map_or(u64::MAX, |consumer| consumer as u64));
        }
    }

    /// Headers by their debug text, bits and counters as one run of bytes, because encodings split them differently.
    fn sketch(&mut self, element: &Element<'_>) {
        match element {
            Element::Bloom(BloomPart::Bits(bits)) => self.0.update(bits.as_bytes(&mut IntBuffer::new())),
            Element::Bloom(BloomPart::Filter { hash_count, .. }) => self.number(*hash_count),
            Element::CountMinSketch(CountMinPart::Counters(run))
            | Element::TopK(TopKPart::Counters(run))
            | Element::Cuckoo(CuckooPart::Buckets(run)) => self.0.update(run),
            Element::Module(ModulePart::String(text)) => self.text(text),
            head => self.0.update(format!("{head:?}").as_bytes()),
        }
    }
}
