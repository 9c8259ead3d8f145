//! Lists, sets, hashes and sorted sets stored element by element (protocol sections 7.6.2 to 7.6.5, 7.8).

use dfly_wire::{Fault, FaultKind, Parsed, UnixMillis, fixed, packed};

use super::{Phase, Scanner, Unit};
use crate::string::{Str, string};
use crate::type_id::TypeId;

/// 2023-02-01T00:00:00Z: Dragonfly counts member expiries from here, in seconds (`kMemberExpiryBase`).
const MEMBER_EXPIRY_BASE: i64 = 1_675_209_600;

/// A list node that is one item.
const PLAIN: u64 = 1;
/// A list node that is a listpack.
const PACKED: u64 = 2;

impl Scanner {
    #[inline]
    pub(super) fn item<'a>(&mut self, input: &'a [u8], left: u64, base: u64) -> Parsed<'a, Unit<'a>> {
        let (rest, unit) = match self.type_id {
            TypeId::Hash => self.field(input)?,
            TypeId::Set => {
                let (rest, member) = string(input, self.limit)?;
                (rest, Unit::Member { member, expire_at: None })
            }
            TypeId::SortedSet2 => {
                let (rest, member) = string(input, self.limit)?;
                let (rest, score) = fixed::f64_le(rest)?;
                (rest, Unit::Scored { member, score })
            }
            TypeId::List => string(input, self.limit).map(|(rest, item)| (rest, Unit::Item(item)))?,
            TypeId::ListQuicklist => {
                string(input, self.limit).map(|(rest, node)| (rest, Unit::PackedNode(node)))?
            }
            TypeId::ListQuicklist2 => self.node(input)?,
            _ => self.rare_item(input, base)?,
        };
        self.phase = if left == 1 { Phase::Done } else { Phase::Items { left: left - 1, base } };
        Ok((rest, unit))
    }

    fn rare_item<'a>(&self, input: &'a [u8], base: u64) -> Parsed<'a, Unit<'a>> {
        match self.type_id {
            TypeId::SortedSet => self.text_score(input),
            TypeId::HashWithExpiry => {
                let (rest, unit) = self.field(input)?;
                let (rest, expire_at) = self.member_expiry(rest)?;
                Ok((rest, with_expiry(unit, expire_at)))
            }
            TypeId::SetWithExpiry => {
                let (rest, member) = string(input, self.limit)?;
                let (rest, expire_at) = self.member_expiry(rest)?;
                Ok((rest, Unit::Member { member, expire_at }))
            }
            TypeId::HashValkey => {
                let (after, unit) = self.field(input)?;
                let (rest, expire_at) = fixed::i64_le(after)?;
                Ok((rest, with_expiry(unit, (expire_at != -1).then_some(UnixMillis(expire_at)))))
            }
            TypeId::HashMetadata | TypeId::HashMetadataPreGa => self.field_after_expiry(input, base),
            _ => Fault::at(input, FaultKind::Invalid("this type has no items")),
        }
    }

    #[inline]
    fn field<'a>(&self, input: &'a [u8]) -> Parsed<'a, Unit<'a>> {
        let (rest, field) = string(input, self.limit)?;
        let (rest, value) = string(rest, self.limit)?;
        Ok((rest, Unit::Field { field, value, expire_at: None }))
    }

    /// Redis 7.4: the expiry is first, 0 for none. Since the final release it is relative to `base` and starts at 1.
    fn field_after_expiry<'a>(&self, input: &'a [u8], base: u64) -> Parsed<'a, Unit<'a>> {
        let (after, ttl) = packed::uint(input)?;
        let (rest, unit) = self.field(after)?;
        if ttl == 0 {
            return Ok((rest, unit));
        }
        let absolute = match self.type_id {
            TypeId::HashMetadata => base.checked_add(ttl - 1),
            _ => Some(ttl),
        };
        match absolute.and_then(|at| i64::try_from(at).ok()) {
            Some(at) => Ok((rest, with_expiry(unit, Some(UnixMillis(at))))),
            None => Fault::at(input, FaultKind::Invalid("an expiry is out of range")),
        }
    }

    /// Dragonfly: seconds since the base, -1 for none.
    fn member_expiry<'a>(&self, input: &'a [u8]) -> Parsed<'a, Option<UnixMillis>> {
        let (rest, ttl) = string(input, self.limit)?;
        let seconds = match ttl {
            Str::Int(seconds) => Some(seconds),
            Str::Raw(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
            Str::Lzf { .. } => None,
        };
        match seconds {
            Some(-1) => Ok((rest, None)),
            Some(seconds) => {
                Ok((rest, Some(UnixMillis::from_seconds(seconds.saturating_add(MEMBER_EXPIRY_BASE)))))
            }
            None => Fault::at(input, FaultKind::Invalid("a member's expiry is not a number")),
        }
    }

    fn node<'a>(&self, input: &'a [u8]) -> Parsed<'a, Unit<'a>> {
        let (rest, container) = packed::uint(input)?;
        if container != PLAIN && container != PACKED {
            return Fault::at(input, FaultKind::Invalid("a list node is neither plain nor packed"));
        }
        let (rest, node) = string(rest, self.limit)?;
        Ok((rest, if container == PLAIN { Unit::PlainNode(node) } else { Unit::PackedNode(node) }))
    }

    /// Redis before 4.0: a length byte and the score as text, or one byte for infinities and NaN.
    fn text_score<'a>(&self, input: &'a [u8]) -> Parsed<'a, Unit<'a>> {
        let (rest, member) = string(input, self.limit)?;
        let (after, size) = fixed::u8(rest)?;
        let (after, score) = match size {
            253 => (after, None),
            254 => (after, Some(f64::INFINITY)),
            255 => (after, Some(f64::NEG_INFINITY)),
            size => {
                let (after, text) = fixed::bytes(after, usize::from(size))?;
                (after, std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()))
            }
        };
        match score {
            Some(score) => Ok((after, Unit::Scored { member, score })),
            None => Fault::at(rest, FaultKind::Invalid("a score is not a number")),
        }
    }
}

fn with_expiry(unit: Unit<'_>, at: Option<UnixMillis>) -> Unit<'_> {
    match unit {
        Unit::Field { field, value, .. } => Unit::Field { field, value, expire_at: at },
        other => other,
    }
}
