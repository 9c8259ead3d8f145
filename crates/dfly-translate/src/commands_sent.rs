//! Which commands of a target carry out the records of a command, those of scripts among them. They are read from the scripts
//! themselves.

use std::collections::BTreeSet;

use crate::script;
use crate::table::{CommandSpec, Rule, specs};

/// What stands in front of the name of a command in a script: a call, or a choice between two names.
const IN_FRONT: [&str; 4] = ["redis.call(", " and ", " or ", "{"];

/// The commands that a script calls.
pub fn called_by(script: &str) -> BTreeSet<&str> {
    let quoted = script.match_indices('\'').filter_map(|(at, _)| {
        let (before, behind) = (script.get(..at)?, script.get(at + 1..)?);
        let (word, _) = behind.split_once('\'')?;
        let is_name = word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase());
        (is_name && IN_FRONT.iter().any(|text| before.ends_with(text))).then_some(word)
    });
    quoted.collect()
}

/// The commands that write values, besides those that a client would send: they move the entries of a large stream, and remove
/// members that are due.
pub fn called_for_values() -> BTreeSet<&'static str> {
    [script::MOVE_ENTRIES, script::SWEEP, script::SWEEP_ALL, script::MOVE_MEMBERS]
        .into_iter()
        .flat_map(called_by)
        .collect()
}

/// The names of the records that `command` helps to carry out.
pub fn records_with(command: &str) -> BTreeSet<&'static str> {
    specs().iter().filter(|spec| spec.commands().contains(command)).map(|spec| spec.name).collect()
}

impl CommandSpec {
    /// The commands of a target that carry out its records.
    pub fn commands(&self) -> BTreeSet<&'static str> {
        let (others, scripts) = self.others();
        let own = self.sends_its_name().then_some(self.name);
        own.into_iter()
            .chain(others.iter().copied())
            .chain(scripts.iter().flat_map(|text| called_by(text)))
            .collect()
    }

    fn sends_its_name(&self) -> bool {
        match self.rule {
            Rule::Verbatim
            | Rule::Push
            | Rule::LexRange
            | Rule::LRem
            | Rule::Store
            | Rule::SortStore
            | Rule::PExpireAt
            | Rule::StoreAll
            | Rule::Set
            | Rule::ZAdd
            | Rule::Move
            | Rule::XClaim
            | Rule::XGroup
            | Rule::StreamCounters
            | Rule::Json
            | Rule::JsonSet
            | Rule::Sketch
            | Rule::CmsMerge => true,
            // The value of a RESTORE is written as any other.
            Rule::Restore
            | Rule::IncrByFloat
            | Rule::HIncrByFloat
            | Rule::Prepend
            | Rule::Rename
            | Rule::RenameNx
            | Rule::DelEx
            | Rule::Pops
            | Rule::SAddEx
            | Rule::HSetEx
            | Rule::HExpire
            | Rule::FieldExpire
            | Rule::HGetEx
            | Rule::Nothing
            | Rule::Stick
            | Rule::Lost(_)
            | Rule::FlushAll
            | Rule::FlushDb
            | Rule::DflyCluster => false,
        }
    }

    /// Commands and scripts beside its own name.
    fn others(&self) -> (&'static [&'static str], &'static [&'static str]) {
        match self.rule {
            Rule::LexRange => (&[], &[script::ZREMRANGEBYLEX.text]),
            Rule::LRem => (&[], &[script::LREM.text]),
            Rule::PExpireAt | Rule::Json | Rule::JsonSet => (&["PERSIST"], &[]),
            Rule::Set => (&[], &[script::SET_KEEPTTL.text]),
            Rule::ZAdd => (&[], &[script::ZADD_BEYOND]),
            Rule::IncrByFloat => (&[], &[script::INCRBYFLOAT.text]),
            Rule::HIncrByFloat => (&[], &[script::HINCRBYFLOAT.text, script::HINCRBYFLOAT_KEEPING.text]),
            Rule::Prepend => (&[], &[script::PREPEND.text]),
            Rule::Rename => (&[], &[script::RENAME.text]),
            Rule::RenameNx => (&[], &[script::RENAMENX.text]),
            Rule::Move => (&[], &[script::MOVE]),
            Rule::DelEx => (&["DEL"], &[script::DELEX.text]),
            Rule::SAddEx => (&["SADD"], &[script::SADDEX]),
            Rule::HSetEx => (&["HSET"], &[script::HSETEX]),
            Rule::HExpire | Rule::FieldExpire | Rule::HGetEx => (&[], &[script::EXPIRE_MEMBERS]),
            Rule::XClaim => (&["XGROUP"], &[]),
            _ => (&[], &[]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_in_scripts() {
        let found = |text| called_by(text).into_iter().collect::<Vec<_>>();
        assert_eq!(found(script::LREM.text), ["LLEN", "LPOS", "LRANGE", "LREM"]);
        assert_eq!(
            found(script::SWEEP),
            ["DEL", "HDEL", "SREM", "TYPE", "ZADD", "ZRANGE", "ZRANGEBYSCORE", "ZREM"]
        );
        assert_eq!(found(script::ZADD_BEYOND), ["ZADD", "ZCARD", "ZSCORE"]);
        assert_eq!(records_with("LPOS"), BTreeSet::from(["LREM"]));
        assert!(records_with("SET").contains("PREPEND"));
    }

    /// Every call of every script is one of a record or of a value.
    #[test]
    fn no_script_is_forgotten() {
        let texts = include_str!("script.rs");
        let called = texts.match_indices("redis.call('").filter_map(|(at, text)| {
            let (name, _) = texts.get(at + text.len()..)?.split_once('\'')?;
            Some(name)
        });
        let mut known = called_for_values();
        known.extend(specs().iter().flat_map(CommandSpec::commands));
        let called: BTreeSet<&str> = called.collect();
        assert!(called.len() > 20, "{called:?}");
        let unknown: Vec<_> = called.iter().filter(|name| !known.contains(*name)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
