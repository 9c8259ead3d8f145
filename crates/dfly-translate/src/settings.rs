//! The rules as one line of text. Rules that write the same data have the same text.

use std::fmt::{self, Write};

use crate::glob::Glob;
use crate::policy::Loss;
use crate::selection::{Choice, Selection};
use crate::translator::Rules;

impl Rules {
    /// The rules as pairs of a setting and its value, both printable: `map-db 3=5; rename-keys a:=b:`. Defaults are left
    /// out. Policies that only decide whether the run stops are left out too, because they do not change what the target
    /// holds. So are aliases, without which a run stops at the first such record, and the kept keys of the target.
    pub fn settings(&self) -> String {
        let mut text = String::new();
        if self.policies.json_as_string() {
            text.push_str("json string; ");
        }
        if !self.policies.emulates_member_ttl() {
            let _infallible = write!(text, "{} drop; ", Loss::MemberTtl);
        }
        let _infallible = write!(text, "{}", self.selection);
        text.truncate(text.trim_end_matches("; ").len());
        text
    }
}

/// One line of text, as in [`Rules::settings`].
impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |names: &mut dyn Iterator<Item = String>| names.collect::<Vec<_>>().join(",");
        let renames = self.renames.iter();
        let renames = renames.map(|rule| format!("{}={}", rule.from.escape_ascii(), rule.to.escape_ascii()));
        let pairs = [
            ("map-db", self.dbs.to_string()),
            ("allow-keys", names(&mut globs(&self.keys.allow))),
            ("block-keys", names(&mut globs(&self.keys.block))),
            ("allow-types", kinds(&self.kinds, |choice| &choice.allow)),
            ("block-types", kinds(&self.kinds, |choice| &choice.block)),
            ("allow-commands", names(&mut self.allowed_commands.iter().cloned())),
            ("block-commands", names(&mut self.blocked_commands.iter().cloned())),
            ("rename-keys", names(&mut { renames })),
        ];
        for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
            write!(f, "{name} {value}; ")?;
        }
        Ok(())
    }
}

fn globs(globs: &[Glob]) -> impl Iterator<Item = String> {
    globs.iter().map(ToString::to_string)
}

fn kinds<T: fmt::Display>(choice: &Choice<T>, part: fn(&Choice<T>) -> &Vec<T>) -> String {
    let mut names: Vec<String> = part(choice).iter().map(ToString::to_string).collect();
    names.sort();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use dfly_rdb::ValueKind;

    use super::*;

    #[test]
    fn one_line_of_what_differs_from_the_defaults() {
        assert_eq!(Rules::default().settings(), "");
        let told = Rules { policies: "skip,bloom=warn".parse().unwrap(), ..Rules::default() };
        assert_eq!(told.settings(), "", "what is written is the same");
        let selection = Selection {
            dbs: "7=skip,3=5,1=1".parse().unwrap(),
            keys: Choice { allow: vec![Glob::new("s*"), Glob::new("\n")], block: vec![Glob::new("t")] },
            kinds: Choice { allow: Vec::new(), block: vec![ValueKind::String, ValueKind::List] },
            renames: vec!["a:=b:".parse().unwrap()],
            blocked_commands: ["SORT".to_owned()].into(),
            ..Selection::default()
        };
        let policies = "json=string,member-ttl=drop".parse().unwrap();
        let rules = Rules { policies, selection, refetches: true, ..Rules::default() };
        assert_eq!(
            rules.settings(),
            "json string; member-ttl drop; map-db 3=5,7=skip; allow-keys s*,\\n; block-keys t; \
             block-types list,string; block-commands SORT; rename-keys a:=b:"
        );
    }
}
