//! The user's policy for each kind of loss.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::policy::{Loss, Policy};

/// A general policy, and exceptions for individual kinds of loss.
///
/// As text: `skip`, `json=string,bloom=skip,member-ttl=fail` or `warn,json=fail`. A single word is the general policy,
/// wherever it occurs. `kind=policy` is the policy for one kind, with the name that reports use. Two kinds have policies
/// that lose little or nothing: `member-ttl=emulate` (the default) and `json=string`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    all: Policy,
    kinds: BTreeMap<Loss, Policy>,
    json_as_string: bool,
    emulate_member_ttl: bool,
}

impl Default for Policies {
    fn default() -> Self {
        Self::of(Policy::default())
    }
}

impl From<Policy> for Policies {
    fn from(policy: Policy) -> Self {
        Self::of(policy)
    }
}

impl Policies {
    /// The same policy for everything. The expiry of members is emulated.
    pub fn of(all: Policy) -> Self {
        Self { all, kinds: BTreeMap::new(), json_as_string: false, emulate_member_ttl: true }
    }

    /// The same policies, except for one kind of loss.
    #[must_use]
    pub fn with(mut self, loss: Loss, policy: Policy) -> Self {
        match loss {
            Loss::Json => self.json_as_string = false,
            Loss::MemberTtl => self.emulate_member_ttl = false,
            _ => {}
        }
        self.kinds.insert(loss, policy);
        self
    }

    /// The same policies, but documents become strings if the target has no JSON.
    #[must_use]
    pub fn with_json_as_string(self) -> Self {
        Self { json_as_string: true, ..self }
    }

    /// What to do about this loss.
    pub fn of_loss(&self, loss: Loss) -> Policy {
        self.kinds.get(&loss).copied().unwrap_or(self.all)
    }

    /// Whether a document is stored as its text if the target has no JSON.
    pub fn json_as_string(&self) -> bool {
        self.json_as_string
    }

    /// Whether the tool removes due members and fields if the target does not.
    pub fn emulates_member_ttl(&self) -> bool {
        self.emulate_member_ttl
    }

    fn set(self, kind: &str, policy: &str) -> Result<Self, String> {
        let loss = Loss::named(kind).ok_or_else(|| unknown_kind(kind))?;
        match (loss, policy) {
            (Loss::Json, "string") => Ok(self.with_json_as_string()),
            (Loss::MemberTtl, "emulate") => {
                let mut kinds = self.kinds;
                kinds.remove(&loss);
                Ok(Self { kinds, emulate_member_ttl: true, ..self })
            }
            (Loss::MemberTtl, "drop") => Ok(self.with(loss, Policy::Skip)),
            (Loss::Json, other) => Ok(self.with(loss, parse(other, ", string")?)),
            (Loss::MemberTtl, other) => Ok(self.with(loss, parse(other, ", emulate, drop")?)),
            (_, other) => Ok(self.with(loss, other.parse()?)),
        }
    }
}

fn parse(text: &str, more: &str) -> Result<Policy, String> {
    text.parse().map_err(|error| format!("{error}{more}"))
}

fn unknown_kind(kind: &str) -> String {
    let mut text = format!("there is no kind \"{kind}\"; the kinds are ");
    // Not `join`: an optimising compiler unrolls it over the constant names, and takes many minutes for the result.
    for (nth, loss) in Loss::ALL.into_iter().enumerate() {
        text.push_str(if nth == 0 { "" } else { ", " });
        text.push_str(loss.name());
    }
    text
}

impl FromStr for Policies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut policies = Self::default();
        for item in text.split(',').map(str::trim) {
            match item.split_once('=') {
                Some((kind, policy)) => policies = policies.set(kind.trim(), policy.trim())?,
                None => policies.all = item.parse()?,
            }
        }
        Ok(policies)
    }
}

impl fmt::Display for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.all)?;
        for (loss, policy) in &self.kinds {
            match loss {
                Loss::Json if self.json_as_string => {}
                Loss::MemberTtl if self.emulate_member_ttl => {}
                loss => write!(f, ",{loss}={policy}")?,
            }
        }
        if self.json_as_string {
            f.write_str(",json=string")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_by_one() {
        let policies: Policies = "json=string, bloom=skip,warn,member-ttl=fail".parse().unwrap();
        assert_eq!(policies.of_loss(Loss::Bloom), Policy::Skip);
        assert_eq!(policies.of_loss(Loss::Cuckoo), Policy::Warn);
        assert_eq!(policies.of_loss(Loss::MemberTtl), Policy::Fail);
        assert!(policies.json_as_string() && !policies.emulates_member_ttl());
        assert_eq!(policies.to_string(), "warn,bloom=skip,member-ttl=fail,json=string");
        assert_eq!(policies.to_string().parse(), Ok(policies));
        let all: Policies = "skip".parse().unwrap();
        assert!(all.emulates_member_ttl() && !all.json_as_string());
        let last: Policies = "json=string,json=fail,member-ttl=drop,member-ttl=emulate".parse().unwrap();
        assert!(!last.json_as_string() && last.emulates_member_ttl());
        assert_eq!(last.to_string().parse(), Ok(last));
    }

    #[test]
    fn what_is_no_policy() {
        for (text, said) in [
            ("", "\"\" is none of fail, warn, skip"),
            ("json=text", "\"text\" is none of fail, warn, skip, string"),
            ("bloom=string", "\"string\" is none of fail, warn, skip"),
            ("member-ttl=keep", "none of fail, warn, skip, emulate, drop"),
            ("blom=skip", "there is no kind \"blom\"; the kinds are json, bloom,"),
        ] {
            let error = text.parse::<Policies>().unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
