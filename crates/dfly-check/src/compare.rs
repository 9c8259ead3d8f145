//! Compares what both sides hold under one key. Pure: no sockets, and the times are arguments.

use std::collections::{BTreeMap, BTreeSet};

use dfly_rdb::{UnixMillis, ValueKind};

use crate::document;
use crate::elements::{content_digest, elements_of, parsed, text_of};
use crate::held::{Content, Elements, Held, Named, Value, digest};
use crate::policy;
use crate::stream_state::StreamState;
use crate::verdict::{Different, Outline, Verdict, What};

/// When each side expires what, and which differences count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    /// The source's time.
    pub source_now: UnixMillis,
    /// The target's time.
    pub target_now: UnixMillis,
    /// Expiries this close to each other are equal, in milliseconds.
    pub tolerance_ms: i64,
    /// What the target cannot hold.
    pub policy: &'a policy::Policy,
}

/// When members and fields are due that the target itself does not remove, by the digests of their names.
pub(crate) type DueTimes = BTreeMap<u128, UnixMillis>;

/// Compares the two sides, but for values that are too large to be read at once: their contents count as equal. `due` is what the tool has noted beside the target's key, if it was read.
pub(crate) fn compare(source: &Held, target: &Held, due: Option<&DueTimes>, terms: Terms<'_>) -> Verdict {
    let (one, other) = match (source, target) {
        (Held::Unreadable(reason), _) => return Verdict::NotCompared(format!("on the source: {reason}")),
        (_, Held::Unreadable(reason)) => return Verdict::NotCompared(format!("on the target: {reason}")),
        _ if source.is_expired(terms.source_now) || target.is_expired(terms.target_now) => {
            return Verdict::Equal;
        }
        (Held::Absent, Held::Absent) => return Verdict::Equal,
        (Held::Absent, Held::Value(_)) => return different(source, target, vec![What::Extra]),
        (Held::Value(value), Held::Absent) => {
            return match terms.policy.left_out(&value.kind) {
                Some(loss) => Verdict::LeftOut(loss),
                None if is_empty_by_now(value, terms) => Verdict::Equal,
                None => different(source, target, vec![What::Missing]),
            };
        }
        (Held::Value(one), Held::Value(other)) => (one, other),
    };
    match values(one, other, due, terms) {
        Ok(what) if what.is_empty() => Verdict::Equal,
        Ok(what) => terms.policy.verdict(&one.kind, &what).unwrap_or_else(|| different(source, target, what)),
        Err(reason) => Verdict::NotCompared(reason),
    }
}

/// Whether all elements of a set or a hash have expired.
fn is_empty_by_now(value: &Value, terms: Terms<'_>) -> bool {
    let elements = value.has_named().then(|| elements(value)).and_then(Result::ok).flatten();
    let Some(Elements::Named(named)) = elements else { return false };
    !named.is_empty() && live(&named, None, terms.source_now).is_empty()
}

fn different(source: &Held, target: &Held, what: Vec<What>) -> Verdict {
    Verdict::Different(Different {
        what,
        source: full_outline(source),
        target: full_outline(target),
        print: (source.print(), target.print()),
    })
}

/// The outline, with the length of what was read as a payload.
fn full_outline(held: &Held) -> Outline {
    let mut outline = held.outline();
    if let (Held::Value(value), None) = (held, outline.length)
        && let Content::Dump(_) = &value.content
    {
        outline.length = elements(value).ok().flatten().map(|elements| elements.len());
    }
    outline
}

fn values(one: &Value, other: &Value, due: Option<&DueTimes>, terms: Terms<'_>) -> Result<Vec<What>, String> {
    let is_json = one.kind.is(ValueKind::Json);
    let mut what = Vec::new();
    if one.kind != other.kind && !(is_json && terms.policy.json_is_text(&other.kind)) {
        what.push(What::Type);
    }
    if !is_near(one.expires_at, other.expires_at, terms.tolerance_ms) {
        what.push(What::Expiry);
    }
    if !what.contains(&What::Type) {
        what.extend(contents(one, other, due, terms)?);
    }
    Ok(what)
}

fn is_near(one: Option<UnixMillis>, other: Option<UnixMillis>, tolerance_ms: i64) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.0.saturating_sub(other.0).saturating_abs() <= tolerance_ms,
        _ => false,
    }
}

fn contents(
    one: &Value,
    other: &Value,
    due: Option<&DueTimes>,
    terms: Terms<'_>,
) -> Result<Vec<What>, String> {
    match (&one.content, &other.content) {
        (Content::Foreign, _) | (_, Content::Foreign) => {
            Err(format!("values of type {} have a form of their own on each side", one.kind))
        }
        (Content::Unread, _) | (_, Content::Unread) => Ok(lengths(one, other)),
        // Whoever has read them compares them in pieces.
        (Content::Large, _) | (_, Content::Large) => Ok(Vec::new()),
        (Content::Text(a), Content::Text(b)) => Ok(texts(a, b)),
        (Content::Json(a), Content::Json(b) | Content::Text(b)) => documents(a, b),
        (Content::Dump(a), Content::Dump(b)) if is_same_payload(a, b) => Ok(Vec::new()),
        _ => read(one, other, due, terms),
    }
}

fn lengths(one: &Value, other: &Value) -> Vec<What> {
    match (one.length, other.length) {
        (Some(a), Some(b)) if a != b => vec![What::Length],
        _ => Vec::new(),
    }
}

fn texts(one: &[u8], other: &[u8]) -> Vec<What> {
    let length = (one.len() != other.len()).then_some(What::Length);
    length.into_iter().chain((one != other).then_some(What::Value)).collect()
}

fn documents(one: &[u8], other: &[u8]) -> Result<Vec<What>, String> {
    Ok(if document::is_same(one, other)? { Vec::new() } else { vec![What::Value] })
}

/// The last type id that means the same in the payloads of every server.
const LAST_SHARED: u8 = 21;

/// Version and checksum at the end of a payload, in bytes.
const FOOTER: usize = 10;

fn is_same_payload(one: &[u8], other: &[u8]) -> bool {
    let body = |payload: &[u8]| payload.len().saturating_sub(FOOTER);
    let bodies = one.get(..body(one)).zip(other.get(..body(other)));
    bodies.is_some_and(|(one, other)| one == other && one.first().is_some_and(|id| *id <= LAST_SHARED))
}

/// Compares values of one type of which at least one was read as a payload or by commands.
fn read(one: &Value, other: &Value, due: Option<&DueTimes>, terms: Terms<'_>) -> Result<Vec<What>, String> {
    if let (Content::Dump(a), Content::Dump(b)) = (&one.content, &other.content) {
        let (a, b) = (parsed(a)?, parsed(b)?);
        let damaged = |error| format!("its payload is damaged: {error}");
        let (left, right) = (content_digest(&a).map_err(damaged)?, content_digest(&b).map_err(damaged)?);
        if left == right && a.kind() == b.kind() && a.kind() != ValueKind::Stream {
            return Ok(Vec::new());
        }
        if a.kind() == ValueKind::String {
            return Ok(texts(&text_of(&a).map_err(damaged)?, &text_of(&b).map_err(damaged)?));
        }
        if a.kind() == ValueKind::Json {
            return documents(&text_of(&a).map_err(damaged)?, &text_of(&b).map_err(damaged)?);
        }
    }
    match (elements(one)?, elements(other)?) {
        (Some(a), Some(b)) => Ok(of_elements(&a, &b, due, terms)),
        _ => Err("both sides were read in ways that cannot be compared".to_owned()),
    }
}

/// The elements of what was read; `None` if it has none.
fn elements(value: &Value) -> Result<Option<Elements>, String> {
    match &value.content {
        Content::Dump(payload) => {
            let (value, damaged) = (parsed(payload)?, |error| format!("its payload is damaged: {error}"));
            if value.kind() == ValueKind::String {
                return Ok(Some(Elements::Whole(digest(&text_of(&value).map_err(damaged)?))));
            }
            elements_of(&value).map(Some).map_err(damaged)
        }
        Content::Elements(elements) => Ok(Some(elements.clone())),
        Content::Text(text) => Ok(Some(Elements::Whole(digest(text)))),
        Content::Unread | Content::Foreign | Content::Json(_) | Content::Large => Ok(None),
    }
}

fn of_elements(one: &Elements, other: &Elements, due: Option<&DueTimes>, terms: Terms<'_>) -> Vec<What> {
    match (one, other) {
        (Elements::List(a), Elements::List(b)) => {
            let apart = a.iter().zip(b).filter(|(a, b)| a != b).count() + a.len().abs_diff(b.len());
            counted(a.len() != b.len(), apart)
        }
        (Elements::Named(a), Elements::Named(b)) => of_named(a, b, due, terms),
        (Elements::Scored(a), Elements::Scored(b)) => {
            let is_same = |name: &u128| a.get(name).zip(b.get(name)).is_some_and(|(a, b)| a == b);
            counted(a.len() != b.len(), apart(a, b, is_same))
        }
        (Elements::Stream(a, of_a), Elements::Stream(b, of_b)) => {
            let is_same = |id: &_| a.get(id) == b.get(id);
            let mut what = counted(a.len() != b.len(), apart(a, b, is_same));
            what.extend(StreamState::differences(of_a, of_b, terms.tolerance_ms));
            what
        }
        (Elements::Whole(a), Elements::Whole(b)) if a == b => Vec::new(),
        (Elements::Whole(_), Elements::Whole(_)) => vec![What::Value],
        _ => vec![What::Type],
    }
}

fn counted(length: bool, differ: usize) -> Vec<What> {
    let elements = (differ > 0).then_some(What::Elements { differ: differ as u64 });
    length.then_some(What::Length).into_iter().chain(elements).collect()
}

/// How many of the names in either map are not the same in both.
fn apart<K: Ord, V>(one: &BTreeMap<K, V>, other: &BTreeMap<K, V>, is_same: impl Fn(&K) -> bool) -> usize {
    let names: BTreeSet<&K> = one.keys().chain(other.keys()).collect();
    names.into_iter().filter(|name| !is_same(name)).count()
}

/// The elements that have not expired, each with when it does.
fn live(named: &BTreeMap<u128, Named>, due: Option<&DueTimes>, now: UnixMillis) -> BTreeMap<u128, Named> {
    let with_due = |(name, element): (&u128, &Named)| {
        let expires_at = element.expires_at.or_else(|| due?.get(name).copied());
        (*name, Named { expires_at, ..*element })
    };
    let is_live = |(_, element): &(u128, Named)| element.expires_at.is_none_or(|at| at > now);
    named.iter().map(with_due).filter(is_live).collect()
}

fn of_named(
    one: &BTreeMap<u128, Named>,
    other: &BTreeMap<u128, Named>,
    due: Option<&DueTimes>,
    terms: Terms<'_>,
) -> Vec<What> {
    let (a, b) = (live(one, None, terms.source_now), live(other, due, terms.target_now));
    let value = |side: &BTreeMap<u128, Named>, name: &u128| side.get(name).map(|element| element.value);
    let mut what = counted(a.len() != b.len(), apart(&a, &b, |name| value(&a, name) == value(&b, name)));
    let is_far = |(name, one): &(&u128, &Named)| {
        let other = b.get(*name);
        other.is_some_and(|other| !is_near(one.expires_at, other.expires_at, terms.tolerance_ms))
    };
    let differ = a.iter().filter(is_far).count() as u64;
    what.extend((differ > 0).then_some(What::FieldExpiries { differ }));
    what
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::held::digest;
    use crate::type_name::TypeName;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn value(kind: &str, content: Content) -> Held {
        Held::Value(Value { kind: TypeName::of(kind), expires_at: None, length: None, content })
    }

    fn expiring(kind: &str, at: i64) -> Held {
        let text = Content::Text("v".into());
        Held::Value(Value {
            kind: TypeName::of(kind),
            expires_at: Some(UnixMillis(at)),
            length: None,
            content: text,
        })
    }

    /// A set whose members expire at these times.
    fn set(members: &[(&str, Option<i64>)]) -> Held {
        let named = |(name, at): &(&str, Option<i64>)| {
            (digest(name.as_bytes()), Named { value: 0, expires_at: at.map(UnixMillis) })
        };
        value("set", Content::Elements(Elements::Named(members.iter().map(named).collect())))
    }

    fn verdict(policy: &str, one: &Held, other: &Held, due: Option<&DueTimes>) -> Verdict {
        let policy = policy.parse().unwrap();
        compare(
            one,
            other,
            due,
            Terms { source_now: NOW, target_now: NOW, tolerance_ms: 1000, policy: &policy },
        )
    }

    fn what(verdict: Verdict) -> Vec<What> {
        match verdict {
            Verdict::Different(different) => different.what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn expiries() {
        let (near, far) = (NOW.0 + 10_000, NOW.0 + 20_000);
        for (one, other, equal) in [
            (near, near + 1000, true),
            (near, near + 1001, false),
            (near, far, false),
            (NOW.0, far, true),
            (far, NOW.0 - 5, true),
        ] {
            let found = verdict("fail", &expiring("string", one), &expiring("string", other), None);
            assert_eq!(found == Verdict::Equal, equal, "{one} {other}");
        }
        let gone = verdict("fail", &expiring("string", NOW.0), &Held::Absent, None);
        assert_eq!(gone, Verdict::Equal, "its time has come on the source");
        let left = verdict("fail", &Held::Absent, &expiring("string", NOW.0), None);
        assert_eq!(left, Verdict::Equal, "its time has come on the target");
        assert_eq!(what(verdict("fail", &expiring("string", far), &Held::Absent, None)), [What::Missing]);
    }

    /// The tool has noted beside the key when its members are due.
    #[test]
    fn members_that_expire() {
        let due = |times: &[(&str, i64)]| -> DueTimes {
            times.iter().map(|(name, at)| (digest(name.as_bytes()), UnixMillis(*at))).collect()
        };
        let (soon, past) = (NOW.0 + 5000, NOW.0 - 1);
        let source = set(&[("a", Some(soon)), ("b", None), ("gone", Some(past))]);
        let target = set(&[("a", None), ("b", None)]);
        let noted = due(&[("a", soon + 500)]);
        assert_eq!(verdict("fail", &source, &target, Some(&noted)), Verdict::Equal);
        assert_eq!(what(verdict("fail", &source, &target, None)), [What::FieldExpiries { differ: 1 }]);
        let late = due(&[("a", soon + 5000)]);
        assert_eq!(what(verdict("fail", &source, &target, Some(&late))), [What::FieldExpiries { differ: 1 }]);
        // What is due on the target and not removed yet is none of its members.
        let unswept = set(&[("a", None), ("b", None), ("gone", None)]);
        let noted = due(&[("a", soon), ("gone", past)]);
        assert_eq!(verdict("fail", &source, &unswept, Some(&noted)), Verdict::Equal);
        assert_eq!(
            verdict("member-ttl=drop", &source, &target, None),
            Verdict::LeftOut(dfly_translate::Loss::MemberTtl)
        );
        let empty = set(&[("gone", Some(past))]);
        assert_eq!(verdict("fail", &empty, &Held::Absent, None), Verdict::Equal);
    }

    #[test]
    fn what_the_target_cannot_hold() {
        let document = value("ReJSON-RL", Content::Json(r#"{"a":1,"b":2}"#.into()));
        let text = value("string", Content::Text(r#"{"b":2,"a":1.0}"#.into()));
        let other = value("string", Content::Text(r#"{"b":2,"a":7}"#.into()));
        use dfly_translate::Loss;
        assert_eq!(verdict("skip", &document, &Held::Absent, None), Verdict::LeftOut(Loss::Json));
        assert_eq!(what(verdict("fail", &document, &Held::Absent, None)), [What::Missing]);
        assert_eq!(verdict("json=string", &document, &text, None), Verdict::Equal);
        assert_eq!(what(verdict("json=string", &document, &other, None)), [What::Value]);
        assert_eq!(what(verdict("skip", &document, &text, None)), [What::Type]);
        assert_eq!(what(verdict("json=string", &document, &Held::Absent, None)), [What::Missing]);
        let filter = value("MBbloom--", Content::Foreign);
        assert_eq!(verdict("warn", &filter, &Held::Absent, None), Verdict::LeftOut(Loss::Bloom));
        assert!(matches!(verdict("warn", &filter, &filter, None), Verdict::NotCompared(_)));
    }

    #[test]
    fn payloads() {
        let dump = |bytes: &'static [u8]| value("string", Content::Dump(bytes.into()));
        // "v", by a footer of version 9 and by one of version 10, whose checksums are not looked at if the rest is the same.
        let (nine, ten) = (b"\x00\x01v\x09\x00........", b"\x00\x01v\x0a\x00........");
        assert_eq!(verdict("fail", &dump(nine), &dump(ten), None), Verdict::Equal);
        assert!(matches!(
            verdict("fail", &dump(nine), &dump(b"\x00\x01w\x09\x00........"), None),
            Verdict::NotCompared(_)
        ));
        let unread = Held::Unreadable("NOPERM".to_owned());
        let told = verdict("fail", &unread, &Held::Absent, None);
        assert_eq!(told, Verdict::NotCompared("on the source: NOPERM".to_owned()));
    }
}
