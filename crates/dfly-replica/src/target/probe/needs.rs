//! What a run asks of a target, and what it does where a target lacks it. Pure.

use std::fmt;

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
    /// What is done without it; `None`: nothing can be.
    instead: Option<Instead>,
}

/// Which targets a request is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Any,
    Server,
    Cluster,
    /// A cluster whose replicas must acknowledge.
    WaitingCluster,
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
}

impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WriteCommands => "values are written by commands",
            Self::WriteOneByOne => "strings are written one by one, which costs the target more",
            Self::RemoveKeys => "what the source flushes is removed key by key",
            Self::StayUnnamed => "connections have no name",
            Self::LeaveConnections => "connections of earlier sessions end by themselves",
        })
    }
}

/// A kind of target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TargetKind {
    pub is_cluster: bool,
    /// Whether replicas must acknowledge before a checkpoint is stored.
    pub waits: bool,
}

const fn any(request: &'static str, purpose: &'static str) -> Need {
    Need { request, purpose, scope: Scope::Any, instead: None }
}

const fn server(request: &'static str, purpose: &'static str) -> Need {
    Need { request, purpose, scope: Scope::Server, instead: None }
}

const fn cluster(request: &'static str, purpose: &'static str) -> Need {
    Need { request, purpose, scope: Scope::Cluster, instead: None }
}

const fn or(instead: Instead, need: Need) -> Need {
    Need { instead: Some(instead), ..need }
}

const OWN: &str = "for the positions and the other keys of this tool";
const VALUES: &str = "to write values";
const NODES: &str = "to find the nodes of the cluster";

/// Everything, in the order of messages.
const NEEDS: &[Need] = &[
    any("INFO server", "to tell whether the server was restarted"),
    server("SELECT 0", "to write to a database"),
    any("EVAL return KEY 1 KEY", "to check the position inside each transaction"),
    server("WATCH KEY", "to carry out each transaction once"),
    any("SCAN 0", "to find keys that the source does not have"),
    any("DBSIZE", "to count keys"),
    any("TIME", "to compare clocks"),
    any("PTTL KEY", "to learn expiries"),
    any("EXISTS KEY", OWN),
    any("DEL KEY", OWN),
    any("UNLINK KEY", "to remove keys that the source does not have"),
    any("HSET KEY f v", OWN),
    any("HGET KEY f", OWN),
    any("HMGET KEY f", OWN),
    any("HGETALL KEY", OWN),
    any("HDEL KEY f", OWN),
    any("SET KEY v", VALUES),
    any("GET KEY", OWN),
    any("SADD KEY m", VALUES),
    any("SREM KEY m", OWN),
    any("SMEMBERS KEY", OWN),
    any("ZADD KEY 1 m", VALUES),
    any("ZRANGE KEY 0 1", OWN),
    any("RPUSH KEY v", VALUES),
    any("LRANGE KEY 0 1", OWN),
    any("APPEND KEY v", VALUES),
    any("XADD KEY * f v", VALUES),
    any("XGROUP CREATE KEY g 0", VALUES),
    any("XSETID KEY 1-1", VALUES),
    any("XCLAIM KEY g c 0 1-1", VALUES),
    any("RENAME KEY KEY", "to put a large value in its place"),
    any("PEXPIREAT KEY 1", "to write expiries"),
    or(Instead::WriteCommands, any("RESTORE KEY 0 v", "to write values as payloads")),
    or(Instead::WriteOneByOne, server("MSET KEY v", "to write many strings at once")),
    or(Instead::RemoveKeys, any("FLUSHALL KEY", "to empty the target as the source is emptied")),
    or(Instead::RemoveKeys, server("FLUSHDB KEY", "to empty a database as the source's is emptied")),
    or(Instead::StayUnnamed, server("CLIENT SETNAME n", "to name connections")),
    or(Instead::LeaveConnections, server("CLIENT ID", "to tell connections apart")),
    or(Instead::LeaveConnections, any("CLIENT LIST", "to find connections of earlier sessions")),
    or(Instead::LeaveConnections, server("CLIENT KILL ID 0", "to close connections of earlier sessions")),
    cluster("CLIENT SETNAME n", "to name connections"),
    cluster("CLIENT ID", "to tell connections apart"),
    cluster("CLIENT KILL ID 0", "to close connections that broke"),
    cluster("CLUSTER SHARDS", NODES),
    cluster("CLUSTER NODES", NODES),
    cluster("CLUSTER GETKEYSINSLOT 0 1", "to find keys of slots that move"),
    cluster("ASKING", "to follow slots that move"),
    Need {
        request: "WAIT 0 0",
        purpose: "to wait for the replicas before a checkpoint is stored",
        scope: Scope::WaitingCluster,
        instead: None,
    },
];

/// What a run needs of such a target.
pub(crate) fn needs(kind: TargetKind) -> impl Iterator<Item = &'static Need> {
    NEEDS.iter().filter(move |need| match need.scope {
        Scope::Any => true,
        Scope::Server => !kind.is_cluster,
        Scope::Cluster => kind.is_cluster,
        Scope::WaitingCluster => kind.is_cluster && kind.waits,
    })
}

const MULTI: Need = any("MULTI", "for transactions");
const EXEC: Need = any("EXEC", "for transactions");

impl Need {
    pub(crate) fn transactions() -> &'static Self {
        &MULTI
    }

    pub(crate) fn exec() -> &'static Self {
        &EXEC
    }

    /// The words of the request, for a key of this tool.
    pub(crate) fn words<'a>(&self, key: &'a str) -> Vec<&'a str>
    where
        Self: 'a,
    {
        self.request.split(' ').map(|word| if word == KEY { key } else { word }).collect()
    }

    /// The command's name, with its subcommand if it has one.
    fn name(&self) -> String {
        let mut words = self.request.split(' ');
        let first = words.next().unwrap_or_default();
        match (first, words.next()) {
            ("CLIENT" | "CLUSTER" | "XGROUP", Some(second)) => format!("{first} {second}"),
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

    const SERVER: TargetKind = TargetKind { is_cluster: false, waits: true };
    const CLUSTER: TargetKind = TargetKind { is_cluster: true, waits: true };

    fn refused(line: &str) -> Reply {
        Reply::Error(ServerError::parse(line.as_bytes()))
    }

    fn need(kind: TargetKind, request: &str) -> &'static Need {
        needs(kind).find(|need| need.request.starts_with(request)).unwrap()
    }

    /// C14: what is lacking, and what is done without.
    #[test]
    fn answers_of_servers() {
        let mut lacks = Lacks::default();
        let forbidden = refused("NOPERM this user has no permissions to run the 'eval' command");
        lacks.hear(need(SERVER, "EVAL"), &forbidden);
        lacks.hear(
            need(SERVER, "SCAN"),
            &refused("ERR unknown command 'SCAN', with args beginning with: '0' "),
        );
        lacks.hear(need(SERVER, "RESTORE"), &refused("NOPERM this user has no permissions"));
        for other in ["OOM x", "MOVED 5 a:1", "ERR WATCH inside MULTI is not allowed", "READONLY x"] {
            lacks.hear(need(SERVER, "WATCH"), &refused(other));
        }
        let texts: Vec<String> = lacks.needed.iter().map(ToString::to_string).collect();
        let expected = [
            "EVAL is forbidden (to check the position inside each transaction)",
            "SCAN is unknown (to find keys that the source does not have)",
        ];
        assert_eq!(texts, expected);
        assert!(lacks.has(Instead::WriteCommands) && !lacks.has(Instead::RemoveKeys));
    }

    #[test]
    fn a_user_without_the_keys_of_this_tool() {
        let mut lacks = Lacks::default();
        let line = "NOPERM this user has no permissions to access one of the keys used as arguments";
        needs(SERVER).for_each(|need| lacks.hear(need, &refused(line)));
        assert_eq!((lacks.needed, lacks.replaced), (vec![Lack::Keys], Vec::new()));
    }

    #[test]
    fn each_kind_of_target_needs_its_own() {
        let names = |kind| needs(kind).map(Need::name).collect::<Vec<_>>();
        assert!(names(SERVER).iter().all(|name| name != "WAIT" && name != "CLUSTER NODES"));
        assert!(names(CLUSTER).iter().all(|name| name != "WATCH" && name != "SELECT"));
        assert!(names(CLUSTER).contains(&"WAIT".to_owned()));
        assert!(!names(TargetKind { waits: false, ..CLUSTER }).contains(&"WAIT".to_owned()));
        assert_eq!(need(SERVER, "EVAL").words("k"), ["EVAL", "return", "k", "1", "k"]);
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
