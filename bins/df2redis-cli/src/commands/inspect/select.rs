//! Selection of keys.

use std::collections::HashSet;

use dfly_rdb::{Event, KeyHeader, ValueId, ValueKind};
use dfly_translate::Glob;

use super::flags::SelectFlags;
use super::time;
use crate::exit::Failure;

/// Short names of types, with the names that the `TYPE` command gives.
const TYPES: [(&str, &str); 13] = [
    ("string", "string"),
    ("list", "list"),
    ("set", "set"),
    ("hash", "hash"),
    ("zset", "zset"),
    ("stream", "stream"),
    ("json", "ReJSON-RL"),
    ("bloom", "MBbloom--"),
    ("cuckoo", "MBbloomCF"),
    ("cms", "CMSk-TYPE"),
    ("topk", "TopK-TYPE"),
    ("timeseries", "TSDB-TYPE"),
    ("module", "module"),
];

/// Length of the name of a module's type.
const MODULE_NAME: usize = 9;

/// The parsed flags.
pub(super) struct Select {
    glob: Option<Glob>,
    types: Vec<String>,
    dbs: Vec<u32>,
    expires: Option<bool>,
    before: Option<i64>,
    from: Option<i64>,
    /// Values in parts that are skipped.
    passed: HashSet<ValueId>,
}

impl Select {
    pub(super) fn new(flags: &SelectFlags) -> Result<Self, Failure> {
        let now = time::now();
        let range = flags.expires_before.is_some() || flags.expires_after.is_some();
        Ok(Self {
            glob: flags.glob.as_ref().map(|glob| Glob::new(glob.as_str())),
            types: flags.types.iter().map(|name| type_name(name)).collect::<Result<_, _>>()?,
            dbs: flags.dbs.clone(),
            expires: if flags.persistent { Some(false) } else { (flags.expires || range).then_some(true) },
            before: flags.expires_before.map(|moment| moment.at(now)),
            from: flags.expires_after.map(|moment| moment.at(now)),
            passed: HashSet::new(),
        })
    }

    /// Whether the event belongs to a selected key, or to no key.
    pub(super) fn takes(&mut self, event: &Event) -> bool {
        match event {
            Event::Entry(entry) => self.header(&entry.header) && self.kind(entry.value.kind()),
            Event::Open { id, header, type_id } => {
                let takes = self.header(header) && self.kind(type_id.kind());
                if !takes {
                    self.passed.insert(*id);
                }
                takes
            }
            Event::Piece { id, .. } => !self.passed.contains(id),
            Event::Close { id } => !self.passed.remove(id),
            _ => true,
        }
    }

    fn header(&self, header: &KeyHeader) -> bool {
        let at = header.expire_at.map(|at| at.0);
        self.glob.as_ref().is_none_or(|glob| glob.matches(&header.key))
            && (self.dbs.is_empty() || self.dbs.contains(&header.db.0))
            && self.expires.is_none_or(|expires| expires == at.is_some())
            && self.before.is_none_or(|before| at.is_some_and(|at| at < before))
            && self.from.is_none_or(|from| at.is_some_and(|at| at >= from))
    }

    /// Whether keys of this kind are selected. The type name of a module's value in parts is known only after its first
    /// part. Until then the value counts as selected, so the caller must ask again after its last part.
    pub(super) fn kind(&self, kind: ValueKind) -> bool {
        let named = |name: &String| match kind {
            ValueKind::Module(None) => name.len() == MODULE_NAME || name == "module",
            kind => *name == kind.to_string(),
        };
        self.types.is_empty() || self.types.iter().any(named)
    }
}

fn type_name(typed: &str) -> Result<String, Failure> {
    if let Some((_, name)) =
        TYPES.iter().find(|(short, name)| short.eq_ignore_ascii_case(typed) || *name == typed)
    {
        return Ok((*name).to_owned());
    }
    if typed.len() == MODULE_NAME {
        return Ok(typed.to_owned());
    }
    let known: Vec<&str> = TYPES.iter().map(|(short, _)| *short).collect();
    Err(Failure::Usage(format!(
        "--type: unknown type \"{typed}\"; the types are {}, and any nine-letter name of a module's type",
        known.join(", ")
    )))
}
