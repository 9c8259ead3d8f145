//! The type of a value.

use std::fmt;

use dfly_rdb::ValueKind;

/// A type, as TYPE names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TypeName {
    Known(ValueKind),
    /// The type of a module that is not known here.
    Foreign(String),
}

impl TypeName {
    /// The type with this name.
    pub(crate) fn of(name: &str) -> Self {
        let kind = match name {
            "string" => ValueKind::String,
            "list" => ValueKind::List,
            "set" => ValueKind::Set,
            "hash" => ValueKind::Hash,
            "zset" => ValueKind::SortedSet,
            "stream" => ValueKind::Stream,
            "ReJSON-RL" => ValueKind::Json,
            "MBbloom--" => ValueKind::Bloom,
            "CMSk-TYPE" => ValueKind::CountMinSketch,
            "TopK-TYPE" => ValueKind::TopK,
            "MBbloomCF" => ValueKind::Cuckoo,
            foreign => return Self::Foreign(foreign.to_owned()),
        };
        Self::Known(kind)
    }

    pub(crate) fn known(&self) -> Option<ValueKind> {
        match self {
            Self::Known(kind) => Some(*kind),
            Self::Foreign(_) => None,
        }
    }

    pub(crate) fn is(&self, kind: ValueKind) -> bool {
        self.known() == Some(kind)
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(kind) => kind.fmt(f),
            Self::Foreign(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        let known = ["string", "list", "set", "hash", "zset", "stream", "ReJSON-RL"];
        let of_modules = ["MBbloom--", "CMSk-TYPE", "TopK-TYPE", "MBbloomCF"];
        for name in known.into_iter().chain(of_modules) {
            assert!(TypeName::of(name).known().is_some(), "{name}");
            assert_eq!(TypeName::of(name).to_string(), name);
        }
        assert_eq!(TypeName::of("tsdb-type"), TypeName::Foreign("tsdb-type".to_owned()));
    }
}
