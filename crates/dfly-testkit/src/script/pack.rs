//! Containers that are encoded as strings (protocol section 7.7), and the LZF compression of strings (section 7.4).

pub(super) mod intset;
pub(super) mod listpack;
pub(super) mod lzf;

/// The integer whose canonical decimal form is `text`.
pub(super) fn canonical_int(text: &[u8]) -> Option<i64> {
    if text.len() > 20 {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let value: i64 = text.parse().ok()?;
    (value.to_string() == text).then_some(value)
}
