//! Names of keys, which are bytes, in JSON, which is text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dfly_replica::SourceKey;
use dfly_wire::DbIndex;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

/// A key of the source: `{"db": 0, "key": "user:1"}`. A name that is not UTF-8 is `{"db": 0, "key_base64": "/w=="}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyName {
    /// Its database on the source.
    #[serde(default)]
    pub db: u32,
    /// Its name, if that is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its name in Base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_base64: Option<String>,
}

/// A key that has no name, or two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyNameError {
    /// Neither `key` nor `key_base64`, or both.
    #[error("a key needs either `key` or `key_base64`")]
    NotOne,
    /// `key_base64` is no Base64.
    #[error("`key_base64` is not Base64")]
    NotBase64,
}

impl From<&SourceKey> for KeyName {
    fn from(key: &SourceKey) -> Self {
        match std::str::from_utf8(&key.name) {
            Ok(name) => Self { db: key.db.0, key: Some(name.to_owned()), key_base64: None },
            Err(_not_text) => Self { db: key.db.0, key: None, key_base64: Some(STANDARD.encode(&key.name)) },
        }
    }
}

impl TryFrom<&KeyName> for SourceKey {
    type Error = KeyNameError;

    fn try_from(name: &KeyName) -> Result<Self, KeyNameError> {
        let bytes = match (&name.key, &name.key_base64) {
            (Some(key), None) => key.clone().into_bytes(),
            (None, Some(encoded)) => STANDARD.decode(encoded).map_err(|_position| KeyNameError::NotBase64)?,
            (None, None) | (Some(_), Some(_)) => return Err(KeyNameError::NotOne),
        };
        Ok(Self::new(DbIndex(name.db), bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_comes_back() {
        for name in [&b"user:1"[..], b"", "\u{1F40E}".as_bytes(), b"\xff\0\r\n", b"\""] {
            let key = SourceKey::new(DbIndex(3), name.to_vec());
            let text = serde_json::to_string(&KeyName::from(&key)).unwrap();
            let back: KeyName = serde_json::from_str(&text).unwrap();
            assert_eq!(SourceKey::try_from(&back), Ok(key), "{text}");
        }
    }

    #[test]
    fn a_key_has_one_name() {
        for (text, error) in [
            (r#"{"db":0}"#, KeyNameError::NotOne),
            (r#"{"key":"a","key_base64":"YQ=="}"#, KeyNameError::NotOne),
            (r#"{"key_base64":"%"}"#, KeyNameError::NotBase64),
        ] {
            let name: KeyName = serde_json::from_str(text).unwrap();
            assert_eq!(SourceKey::try_from(&name), Err(error), "{text}");
        }
        assert!(serde_json::from_str::<KeyName>(r#"{"kee":"a"}"#).is_err());
    }
}
