//! JSON, compared as documents: the order of names and the spelling of numbers and texts do not count.

use serde_json::{Number, Value};

/// Whether two texts are the same document.
///
/// # Errors
/// Why one of them is no document, in words that tell nothing of it.
pub(crate) fn is_same(source: &[u8], target: &[u8]) -> Result<bool, String> {
    if source == target {
        return Ok(true);
    }
    let parsed = |side: &str, text: &[u8]| {
        serde_json::from_slice::<Value>(text)
            .map_err(|error| format!("the {side}'s text is no JSON document: {:?} error", error.classify()))
    };
    Ok(is_like(&parsed("source", source)?, &parsed("target", target)?))
}

fn is_like(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => is_same_number(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_like(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let has = |(name, value): (&String, &Value)| other.get(name).is_some_and(|o| is_like(value, o));
            one.len() == other.len() && one.iter().all(has)
        }
        _ => one == other,
    }
}

/// `1`, `1.0` and `1e0` are the same number; integers are compared exactly.
fn is_same_number(one: &Number, other: &Number) -> bool {
    one == other || (one.is_f64() || other.is_f64()) && one.as_f64() == other.as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts() {
        for (one, other, same) in [
            (r#"{"a":1,"b":[true,null]}"#, r#"{ "b": [ true, null ], "a": 1.0 }"#, true),
            (r#"{"a":1}"#, r#"{"a":2}"#, false),
            (r#"{"a":1}"#, r#"{"a":1,"b":1}"#, false),
            ("[1,2]", "[2,1]", false),
            (r#""\u0041""#, r#""A""#, true),
            ("9007199254740993", "9007199254740992", false),
            ("1e2", "100", true),
        ] {
            assert_eq!(is_same(one.as_bytes(), other.as_bytes()), Ok(same), "{one} {other}");
        }
        let error = is_same(b"{\"secret\":", b"1").unwrap_err();
        assert!(error.starts_with("the source's text") && !error.contains("secret"), "{error}");
    }
}
