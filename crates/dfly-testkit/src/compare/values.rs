//! Compares two values.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::difference::What;
use super::stream;
use crate::value::{CanonicalValue, Value};

/// How many differing elements of a collection are listed individually.
const NAMED: usize = 5;

/// Every difference between two values.
pub(super) fn between(wanted: &CanonicalValue, held: &CanonicalValue, rules: stream::Rules) -> Vec<What> {
    match (&wanted.value, &held.value) {
        (Value::None, Value::None) => return Vec::new(),
        (Value::None, _) => return vec![What::Extra],
        (_, Value::None) => return vec![What::Missing],
        (a, b) if a.type_name() != b.type_name() => {
            let (expected, found) = (a.type_name().to_owned(), b.type_name().to_owned());
            return vec![What::Type { expected, found }];
        }
        _ => {}
    }
    let mut all = values(&wanted.value, &held.value, rules);
    if wanted.expire_at_ms != held.expire_at_ms {
        all.push(What::Expiry { expected: wanted.expire_at_ms, found: held.expire_at_ms });
    }
    all
}

fn values(wanted: &Value, held: &Value, rules: stream::Rules) -> Vec<What> {
    match (wanted, held) {
        (Value::String(a), Value::String(b)) => text(a, b).into_iter().collect(),
        (Value::List(a), Value::List(b)) => keyed(
            &a.iter().enumerate().map(|(i, v)| (Bytes::from(i.to_string()), v.clone())).collect(),
            &b.iter().enumerate().map(|(i, v)| (Bytes::from(i.to_string()), v.clone())).collect(),
            "index",
        ),
        (Value::Set(a), Value::Set(b)) => keyed(
            &a.iter().map(|member| (member.clone(), Bytes::new())).collect(),
            &b.iter().map(|member| (member.clone(), Bytes::new())).collect(),
            "member",
        ),
        (Value::Hash(a), Value::Hash(b)) => keyed(a, b, "field"),
        (Value::Zset(a), Value::Zset(b)) => keyed(a, b, "member"),
        (Value::Stream(a), Value::Stream(b)) => stream::differences(a, b, rules),
        (a, b) if a == b => Vec::new(),
        _ => vec![What::Value("the values differ".to_owned())],
    }
}

fn text(wanted: &Bytes, held: &Bytes) -> Option<What> {
    if wanted == held {
        return None;
    }
    let at = wanted.iter().zip(held).position(|(a, b)| a != b).unwrap_or(wanted.len().min(held.len()));
    let (a, b) = (wanted.len(), held.len());
    Some(What::Value(format!("{b} bytes, expected {a}; they differ from byte {at} on")))
}

/// The elements that are only on one side or have another value. The differences show where the values are, not the values
/// themselves.
fn keyed<V: PartialEq>(wanted: &BTreeMap<Bytes, V>, held: &BTreeMap<Bytes, V>, noun: &str) -> Vec<What> {
    let missing = wanted.keys().filter(|key| !held.contains_key(*key)).map(|key| (key, "missing"));
    let extra = held.keys().filter(|key| !wanted.contains_key(*key)).map(|key| (key, "should not be there"));
    let other = wanted.iter().filter(|(key, value)| held.get(*key).is_some_and(|found| found != *value));
    let all: Vec<String> = missing
        .chain(extra)
        .chain(other.map(|(key, _)| (key, "another value")))
        .map(|(key, what)| format!("{noun} {}: {what}", key.escape_ascii()))
        .collect();
    let more = all.len().saturating_sub(NAMED);
    let rest = (more > 0).then(|| What::Value(format!("{more} more of {} elements differ", wanted.len())));
    all.into_iter().take(NAMED).map(What::Value).chain(rest).collect()
}

/// The fields whose expiries (in Unix milliseconds) differ by more than `tolerance_ms`.
pub(super) fn member_ttls(
    wanted: &BTreeMap<Bytes, i64>,
    held: &BTreeMap<Bytes, i64>,
    tolerance_ms: i64,
) -> Vec<What> {
    let name = |field: &Bytes| field.escape_ascii().to_string();
    let wrong = wanted.iter().filter_map(|(field, at)| match held.get(field) {
        None => Some(format!("field {} never expires, expected {at}", name(field))),
        Some(found) if (found - at).abs() > tolerance_ms => {
            Some(format!("field {} expires at {found}, expected {at}", name(field)))
        }
        Some(_) => None,
    });
    let extra = held.iter().filter(|(field, _)| !wanted.contains_key(*field));
    let extra = extra.map(|(field, at)| format!("field {} expires at {at}, expected never", name(field)));
    wrong.chain(extra).map(What::FieldExpiry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(all: &[(&'static str, i64)]) -> BTreeMap<Bytes, i64> {
        all.iter().map(|(field, at)| (Bytes::from(*field), *at)).collect()
    }

    #[test]
    fn expiries_of_fields() {
        let wanted = times(&[("a", 10_000), ("b", 20_000)]);
        let told = |held: &[(&'static str, i64)]| -> Vec<String> {
            member_ttls(&wanted, &times(held), 1000).iter().map(ToString::to_string).collect()
        };
        assert_eq!(told(&[("a", 9_000), ("b", 21_000)]), [""; 0]);
        assert_eq!(told(&[("a", 8_999), ("b", 20_000)]), ["field a expires at 8999, expected 10000"]);
        assert_eq!(told(&[("a", 10_000)]), ["field b never expires, expected 20000"]);
        assert_eq!(told(&[("a", 10_000), ("b", 20_000), ("c", 5)]), ["field c expires at 5, expected never"]);
    }

    #[test]
    fn many_differing_elements_are_counted() {
        let wanted: BTreeMap<Bytes, u8> = (0..9).map(|i| (Bytes::from(format!("f{i}")), i)).collect();
        let told = keyed(&wanted, &BTreeMap::new(), "field");
        assert_eq!(told.len(), 6);
        assert_eq!(told[5], What::Value("4 more of 9 elements differ".to_owned()));
    }
}
