//! Names for what a target cannot hold, and the policies for it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use dfly_rdb::ValueKind;

use crate::target::Ability;

/// What to do with something that the target cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Stop before anything of the key is written.
    #[default]
    Fail,
    /// Leave it out, count it, and report it once for each kind.
    Warn,
    /// Leave it out and count it.
    Skip,
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fail" => Ok(Self::Fail),
            "warn" => Ok(Self::Warn),
            "skip" => Ok(Self::Skip),
            other => Err(format!("\"{other}\" is none of fail, warn, skip")),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fail => "fail",
            Self::Warn => "warn",
            Self::Skip => "skip",
        })
    }
}

/// Something of the source that does not reach the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Loss {
    /// A JSON document, or a change of one.
    Json,
    /// A Bloom filter, or a change of one.
    Bloom,
    /// A Cuckoo filter, or a change of one.
    Cuckoo,
    /// A count-min sketch, or a change of one.
    CountMinSketch,
    /// A Top-K sketch, or a change of one.
    TopK,
    /// A module's value, or data that a module stores outside keys.
    Module,
    /// A library of functions.
    Function,
    /// A search index.
    Search,
    /// State of `CL.THROTTLE`.
    Throttle,
    /// The expiry of a set's member or a hash's field; the member or field itself is kept.
    MemberTtl,
    /// The flag that protects a key from eviction; the key itself is kept.
    Sticky,
    /// A memcached client's flags; the key itself is kept.
    MemcacheFlags,
    /// A record that the master has reduced to this flow's own keys, so that it cannot be carried out (protocol section
    /// 3.9).
    Truncated,
    /// `DFLYCLUSTER FLUSHSLOTS` of another form, or where keys are not refetched.
    FlushSlots,
    /// A form of a known command that has no equivalent on the target.
    Form,
    /// A command that is not in the table.
    Unknown,
    /// A record with too few arguments, or with a payload that cannot be read.
    Malformed,
    /// A record that cannot be split, although its keys are in different slots of the target or only some of them are
    /// selected.
    Torn,
    /// A key that must be refetched, but that the source refuses to return.
    Unreadable,
    /// A key whose name on the target would be reserved for the tool. The source has such keys if it was a target before.
    Reserved,
    /// A value that the target refuses, as a payload and by commands.
    Refused,
    /// Delivered entries that are not acknowledged and may be deleted from their stream. A large stream with very wide entries
    /// loses them; all else of it is kept.
    Pending,
}

impl Loss {
    /// All kinds of loss, in the order of reports.
    pub const ALL: [Self; 22] = [
        Self::Json,
        Self::Bloom,
        Self::Cuckoo,
        Self::CountMinSketch,
        Self::TopK,
        Self::Module,
        Self::Function,
        Self::Search,
        Self::Throttle,
        Self::MemberTtl,
        Self::Sticky,
        Self::MemcacheFlags,
        Self::Truncated,
        Self::FlushSlots,
        Self::Form,
        Self::Unknown,
        Self::Malformed,
        Self::Torn,
        Self::Unreadable,
        Self::Reserved,
        Self::Pending,
        Self::Refused,
    ];

    /// What is lost of a value of this kind on a Redis without modules.
    pub fn of(kind: ValueKind) -> Option<Self> {
        match kind {
            ValueKind::Json => Some(Self::Json),
            ValueKind::Bloom => Some(Self::Bloom),
            ValueKind::CountMinSketch => Some(Self::CountMinSketch),
            ValueKind::TopK => Some(Self::TopK),
            ValueKind::Cuckoo => Some(Self::Cuckoo),
            core if core.is_core() => None,
            _ => Some(Self::Module),
        }
    }

    /// What is lost on a target without this ability.
    pub(crate) fn without(ability: Ability) -> Self {
        match ability {
            Ability::Json => Self::Json,
            Ability::Bloom => Self::Bloom,
            Ability::Cuckoo => Self::Cuckoo,
            Ability::CountMin => Self::CountMinSketch,
            Ability::TopK => Self::TopK,
            Ability::FieldTtl => Self::MemberTtl,
            Ability::Functions => Self::Function,
            Ability::StreamCounters => Self::Form,
        }
    }

    /// Whether data is lost, so that [`Policy::Fail`] stops the run. The other losses only affect how Dragonfly treats the
    /// key, or are keys that no application has written.
    pub fn is_data(self) -> bool {
        !matches!(self, Self::Sticky | Self::MemcacheFlags | Self::Reserved)
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|loss| loss.name() == name)
    }

    /// The name in reports and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Bloom => "bloom",
            Self::Cuckoo => "cuckoo",
            Self::CountMinSketch => "count-min-sketch",
            Self::TopK => "top-k",
            Self::Module => "module",
            Self::Function => "function",
            Self::Search => "search-index",
            Self::Throttle => "throttle",
            Self::MemberTtl => "member-ttl",
            Self::Sticky => "sticky",
            Self::MemcacheFlags => "memcache-flags",
            Self::Truncated => "truncated-record",
            Self::FlushSlots => "flush-slots",
            Self::Form => "command-form",
            Self::Unknown => "unknown-command",
            Self::Malformed => "malformed-record",
            Self::Torn => "torn-record",
            Self::Unreadable => "unreadable-key",
            Self::Reserved => "reserved-key",
            Self::Pending => "pending-entries",
            Self::Refused => "refused-value",
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many times each loss occurred.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Losses(BTreeMap<Loss, u64>);

impl Losses {
    /// Counts one loss.
    pub fn count(&mut self, loss: Loss) {
        *self.0.entry(loss).or_default() += 1;
    }

    /// Adds all counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (loss, count) in other.iter() {
            *self.0.entry(loss).or_default() += count;
        }
    }

    /// Each loss that occurred, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Loss, u64)> {
        self.0.iter().map(|(loss, count)| (*loss, *count))
    }

    /// Whether nothing was lost.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (loss, count)) in self.iter().enumerate() {
            write!(f, "{}{loss} {count}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
