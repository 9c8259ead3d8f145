//! What a run asks of a target, and what it does where a target lacks it. Pure.

use std::collections::BTreeSet;
use std::fmt;

use dfly_translate::{Ability, Target, records_with};
use redis_resp::{ErrorCode, Reply, ServerError};

/// The word of a request that stands for a key of this tool.
const KEY: &str = "KEY";

/// A request that a run sends to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    /// The request with arguments that do nothing, [`KEY`] among them. It is queued in a transaction that is discarded.
    request: &'static str,
    /// What it is for, as the end of "it is needed ..".
    purpose: &'static str,
    scope: Scope,
    /// What the target must be able to do, to be asked.
    ability: Option<Ability>,
    /// What is done without it; `None`: nothing can be.
    instead: Option<Instead>,
}

/// Which targets a request is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Any,
    Server,
    Cluster,
    /// A cluster whose replicas must acknowledge.
    WaitingCluster,
    /// Any target, for a comparison with the source.
    Comparison,
}

/// What is done without something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Instead {
    /// Every value is written by commands.
    WriteCommands,
    /// Strings are written one by one.
    WriteOneByOne,
    /// What the source flushes is removed key by key.
    RemoveKeys,
    /// Connections have no name.
    StayUnnamed,
    /// Connections of earlier sessions are left to end by themselves.
    LeaveConnections,
    /// Keys that records change are refetched.
    Refetch,
    /// The target counts as one that cannot do this.
    DoWithout(Ability),
    /// The target counts as one without modules.
    WithoutModules,
    /// A comparison uses another command, or does not compare.
    CompareOtherwise,
}

impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WriteCommands => "values are written by commands",
            Self::WriteOneByOne => "strings are written one by one, which costs the target more",
            Self::RemoveKeys => "what the source flushes is removed key by key",
            Self::StayUnnamed => "connections have no name",
            Self::LeaveConnections => "connections of earlier sessions end by themselves",
            Self::Refetch => {
                "each key that such a record changes is refetched from the source, which costs both servers more"
            }
            Self::DoWithout(Ability::FieldTtl) => "expiries of fields are kept beside their keys",
            Self::DoWithout(Ability::Functions) => "functions are treated as unsupported",
            Self::DoWithout(_) => "such values are treated as unsupported",
            Self::WithoutModules => "the target counts as one without modules",
            Self::CompareOtherwise => {
                "a comparison uses other commands, and counts keys for which there are none as not compared"
            }
        })
    }
}

/// A kind of target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TargetKind {
    pub is_cluster: bool,
    /// Whether replicas must acknowledge before a checkpoint is stored.
    pub waits: bool,
    /// Whether it is asked what a comparison needs, too.
    pub compares: bool,
    /// What it can do; `None` if that is not known.
    pub abilities: Option<Target>,
}

/// A command that a run, or a comparison, sends to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetCommand {
    /// Its name, with its subcommand if it has one.
    pub name: String,
    /// What it is needed for, as the end of "it is needed ..".
    pub purpose: &'static str,
    /// What is done without it; `None`: there is no replication.
    pub instead: Option<Instead>,
    /// Which targets it is sent to.
    pub targets: &'static str,
    /// What a target must be able to do, for it to be sent.
    pub ability: Option<Ability>,
}

impl From<&Need> for TargetCommand {
    fn from(need: &Need) -> Self {
        let targets = match need.scope {
            Scope::Any | Scope::Comparison => "any",
            Scope::Server => "single server",
            Scope::Cluster => "cluster",
            Scope::WaitingCluster => "cluster with `--wait-replicas`",
        };
        let Need { purpose, instead, ability, .. } = *need;
        Self { name: need.name(), purpose, instead, targets, ability }
    }
}

impl Need {
    pub(super) const fn new(request: &'static str, purpose: &'static str) -> Self {
        Self { request, purpose, scope: Scope::Any, ability: None, instead: None }
    }

    pub(super) const fn of(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// Only a target with this ability is asked.
    pub(super) const fn with(self, ability: Ability) -> Self {
        Self { ability: Some(ability), ..self }
    }

    pub(super) const fn or(self, instead: Instead) -> Self {
        Self { instead: Some(instead), ..self }
    }

    /// Whether such a target is asked.
    pub(super) fn is_for(&self, kind: &TargetKind) -> bool {
        let in_scope = match self.scope {
            Scope::Any => true,
            Scope::Server => !kind.is_cluster,
            Scope::Cluster => kind.is_cluster,
            Scope::WaitingCluster => kind.is_cluster && kind.waits,
            Scope::Comparison => kind.compares,
        };
        in_scope
            && self.ability.is_none_or(|ability| kind.abilities.is_some_and(|target| target.has(ability)))
    }
}

const MULTI: Need = Need::new("MULTI", "for transactions");
const EXEC: Need = Need::new("EXEC", "for transactions");
const WATCH: Need = Need::new("WATCH KEY", "to carry out each transaction once").of(Scope::Server);

impl Need {
    pub(crate) fn transactions() -> &'static Self {
        &MULTI
    }

    pub(crate) fn exec() -> &'static Self {
        &EXEC
    }

    /// Later servers refuse it in a transaction before they look whether the user may use it.
    pub(crate) fn watch() -> &'static Self {
        &WATCH
    }

    #[cfg(test)]
    pub(super) fn instead(&self) -> Option<Instead> {
        self.instead
    }

    /// The words of the request, for a key of this tool.
    pub(crate) fn words<'a>(&self, key: &'a str) -> Vec<&'a str>
    where
        Self: 'a,
    {
        self.request.split(' ').map(|word| if word == KEY { key } else { word }).collect()
    }

    /// The command's name, with its subcommand if it has one.
    pub(super) fn name(&self) -> String {
        let mut words = self.request.split(' ');
        let first = words.next().unwrap_or_default();
        match (first, words.next()) {
            ("CLIENT" | "CLUSTER" | "COMMAND" | "FUNCTION" | "MEMORY" | "XGROUP" | "XINFO", Some(second)) => {
                format!("{first} {second}")
            }
            _ => first.to_owned(),
        }
    }
}

/// Something that the target lacks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// A command that the server does not have, or that the user may not use.
    Command {
        /// Its name.
        name: String,
        /// What it is needed for.
        purpose: &'static str,
        /// Whether the server has it.
        is_forbidden: bool,
    },
    /// The keys of this tool.
    Keys,
    /// Transactions: the server carries out the commands of one at once.
    Transactions,
}

impl Lack {
    /// The first word of a command.
    fn first_word(&self) -> Option<&str> {
        match self {
            Self::Command { name, .. } => name.split(' ').next(),
            Self::Keys | Self::Transactions => None,
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { name, purpose, is_forbidden: true } => {
                write!(f, "{name} is forbidden ({purpose})")
            }
            Self::Command { name, purpose, .. } => write!(f, "{name} is unknown ({purpose})"),
            Self::Keys => f.write_str("keys under df2redis are forbidden (for the positions)"),
            Self::Transactions => f.write_str("MULTI does nothing (for transactions)"),
        }
    }
}

/// What a target lacks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Lacks {
    /// Without these there is no replication.
    pub needed: Vec<Lack>,
    /// Without these there is.
    pub replaced: Vec<(Lack, Instead)>,
    /// The largest argument that the server takes, in bytes, if it says.
    pub largest_argument: Option<usize>,
}

impl Lacks {
    /// Takes the answer to a request that is queued.
    pub(crate) fn hear(&mut self, need: &Need, answer: &Reply) {
        let Some(lack) = lack(need, answer) else { return };
        match need.instead.filter(|_| lack != Lack::Keys) {
            Some(instead) if !self.replaced.contains(&(lack.clone(), instead)) => {
                self.replaced.push((lack, instead));
            }
            None => self.need(lack),
            Some(_) => {}
        }
    }

    pub(crate) fn need(&mut self, lack: Lack) {
        if !self.needed.contains(&lack) {
            self.needed.push(lack);
        }
    }

    /// Takes the answer to CONFIG GET: a name and a number.
    pub(crate) fn hear_limit(&mut self, answer: Option<&Reply>) {
        let Some(Reply::Array(pair)) = answer else { return };
        if let [Reply::Bulk(_), Reply::Bulk(number)] = pair.as_slice() {
            self.largest_argument = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
        }
    }

    /// The records that become, or call for, commands that are lacking.
    pub(crate) fn refetched_records(&self) -> BTreeSet<&'static str> {
        let is_for_records = |instead: &Instead| matches!(instead, Instead::Refetch | Instead::WriteOneByOne);
        let lacks = self.replaced.iter().filter(|(_, instead)| is_for_records(instead));
        lacks.filter_map(|(lack, _)| lack.first_word()).flat_map(records_with).collect()
    }

    /// What the target counts as unable to do.
    pub(crate) fn forbidden_abilities(&self) -> BTreeSet<Ability> {
        let abilities = self.replaced.iter().filter_map(|(_, instead)| match instead {
            Instead::DoWithout(ability) => Some(*ability),
            _ => None,
        });
        abilities.collect()
    }

    /// Whether something is done in another way.
    pub(crate) fn has(&self, instead: Instead) -> bool {
        self.replaced.iter().any(|(_, other)| *other == instead)
    }
}

/// What the answer to a request that was queued says is lacking. Other errors are those of this key, or of this moment.
fn lack(need: &Need, answer: &Reply) -> Option<Lack> {
    let Reply::Error(error) = answer else { return None };
    let command = |is_forbidden| Lack::Command { name: need.name(), purpose: need.purpose, is_forbidden };
    match error.code {
        ErrorCode::NoPermission if is_about_keys(error) => Some(Lack::Keys),
        ErrorCode::NoPermission => Some(command(true)),
        // EXEC itself is forbidden.
        ErrorCode::ExecAbort if error.line.contains("no permissions") => Some(command(true)),
        ErrorCode::Generic if is_unknown(error) => Some(command(false)),
        _ => None,
    }
}

fn is_about_keys(error: &ServerError) -> bool {
    error.line.contains("access") && error.line.contains("key")
}

fn is_unknown(error: &ServerError) -> bool {
    let line = error.line.to_ascii_lowercase();
    ["unknown command", "unknown subcommand", "unsupported command", "not supported"]
        .iter()
        .any(|words| line.contains(words))
}

/// Whether the target is several servers behind one address: it refuses two keys of different slots in one script or
/// transaction. The words are the target's.
pub(crate) fn refuses_other_slots(answers: &[Reply]) -> Option<String> {
    answers.iter().find_map(|answer| match answer {
        Reply::Error(error) if is_about_slots(error) => Some(error.line.clone()),
        Reply::Array(answers) => refuses_other_slots(answers),
        _ => None,
    })
}

fn is_about_slots(error: &ServerError) -> bool {
    let line = error.line.to_ascii_lowercase();
    error.code == ErrorCode::CrossSlot || line.contains("crossslot") || line.contains("same slot")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> Reply {
        Reply::Error(ServerError::parse(line.as_bytes()))
    }

    /// C15: whatever says it, and wherever.
    #[test]
    fn several_servers_behind_one_address() {
        let is_sharded = |answers: &[Reply]| refuses_other_slots(answers).is_some();
        assert!(is_sharded(&[Reply::Nil, refused("CROSSSLOT Keys in request don't hash to the same slot")]));
        assert!(is_sharded(&[Reply::Array(vec![refused("ERR all keys must map to the same slot")])]));
        assert!(!is_sharded(&[Reply::Array(vec![Reply::Integer(0)]), refused("OOM x")]));
    }
}
