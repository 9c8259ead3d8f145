//! The reserved names of a task. All of them are made here.
//!
//! All names of a task begin with its prefix: `df2redis:` for the unnamed task, and `df2redis@task:` for others. In a
//! cluster, a name for a slot ends in a hash tag of the slot, and a name for a key is in the slot of the key.

use redis_slots::{Slot, beside, tag_of};

use super::{TOOL, TaskName};

/// The names that a task reserves on a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservedNames {
    task: TaskName,
    /// The prefix of the names of all keys of the task.
    prefix: String,
    checkpoint: String,
    /// The prefix of the names of the sets of due times.
    expiry: String,
    /// The prefix of the names of growing values.
    growing: String,
    /// The prefix of the names of streams that are rebuilt.
    rebuilt: String,
}

impl Default for ReservedNames {
    /// The names of the unnamed task.
    fn default() -> Self {
        Self::new(&TaskName::default())
    }
}

impl ReservedNames {
    /// The set of the names of all tasks but the one without a name. It belongs to no task.
    pub const TASKS: &'static str = "df2redis@:tasks";

    /// The names that `task` reserves.
    pub fn new(task: &TaskName) -> Self {
        let prefix = format!("{}:", connection_of(task));
        let name = |kind| format!("{prefix}{kind}");
        Self {
            task: task.clone(),
            checkpoint: name("checkpoint"),
            expiry: name("expiry:"),
            growing: name("growing:"),
            rebuilt: name("rebuilt:"),
            prefix,
        }
    }

    /// The task to which these names belong.
    pub fn task(&self) -> &TaskName {
        &self.task
    }

    /// The prefix of the names of all keys of the task.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The name of the task's connections to a target (`CLIENT SETNAME`).
    pub fn connection(&self) -> String {
        connection_of(&self.task)
    }

    /// The hash with the checkpoints of all flows and their metadata.
    pub fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// The key that the transactions of a flow watch.
    pub fn guard(&self, flow: u16) -> String {
        self.of_flow("guard", flow, None)
    }

    /// The set of keys that a flow has to refetch from the source; in a cluster, those of one slot. Its name on the target
    /// contains `reread`.
    pub fn refetch(&self, flow: u16, slot: Option<Slot>) -> String {
        self.of_flow("reread", flow, slot)
    }

    /// The sorted set of keys with members that the tool removes when they are due, scored by the earliest due time; in a
    /// cluster, those of one slot.
    pub fn due(&self, flow: u16, slot: Option<Slot>) -> String {
        self.of_flow("due", flow, slot)
    }

    /// The set of keys whose values were left out; in a cluster, those of one slot.
    pub fn left_out(&self, flow: u16, slot: Option<Slot>) -> String {
        self.of_flow("left-out", flow, slot)
    }

    /// The key that stores what a flow knows about the expiries of its keys, from one session to the next.
    pub fn expiries(&self, flow: u16) -> String {
        self.of_flow("expiries", flow, None)
    }

    /// The list that names, by digest, the keys that a flow of an unfinished first synchronisation has written.
    pub fn written(&self, flow: u16) -> String {
        self.of_flow("written", flow, None)
    }

    /// The set of keys that the target already had and that are kept.
    pub fn kept(&self) -> String {
        format!("{}kept", self.prefix)
    }

    /// The sorted set with the due times of the members of `key`.
    pub fn expiry(&self, key: &[u8]) -> Vec<u8> {
        beside(&self.expiry, key)
    }

    /// The key under which the value of `key` grows until it is complete.
    pub fn growing(&self, key: &[u8]) -> Vec<u8> {
        beside(&self.growing, key)
    }

    /// The key under which the stream `key` is put together again while it grows.
    pub fn rebuilt(&self, key: &[u8]) -> Vec<u8> {
        beside(&self.rebuilt, key)
    }

    /// The hash in `slot` with the positions of the flows there.
    pub fn slot_position(&self, slot: Slot) -> Vec<u8> {
        format!("{}{{{}}}", self.prefix, tag_of(slot)).into_bytes()
    }

    /// Whether `key` is reserved by this task.
    pub fn is_own(&self, key: &[u8]) -> bool {
        key.starts_with(self.prefix.as_bytes())
    }

    /// Whether `key` says something of keys of the source that a flush removes: when their members are due, or that their
    /// values were left out.
    pub fn is_note(&self, key: &[u8]) -> bool {
        let kind = key.strip_prefix(self.prefix.as_bytes()).unwrap_or_default();
        [&b"due:"[..], b"expiry:", b"left-out:"].iter().any(|note| kind.starts_with(note))
    }

    /// Whether `key` is reserved by any task, or for all of them.
    pub fn is_reserved(key: &[u8]) -> bool {
        split(key).is_some() || key == Self::TASKS.as_bytes()
    }

    /// The task that has reserved `key`, if one has.
    pub fn task_of(key: &[u8]) -> Option<TaskName> {
        split(key).and_then(|(task, _)| task.parse().ok())
    }

    /// The part of a reserved name after its prefix, such as `checkpoint`, for any task.
    pub fn kind_of(key: &[u8]) -> Option<&[u8]> {
        split(key).map(|(_, kind)| kind)
    }

    fn of_flow(&self, kind: &str, flow: u16, slot: Option<Slot>) -> String {
        match slot {
            None => format!("{}{kind}:{flow}", self.prefix),
            Some(slot) => format!("{}{kind}:{flow}:{{{}}}", self.prefix, tag_of(slot)),
        }
    }
}

fn connection_of(task: &TaskName) -> String {
    if task.is_empty() { TOOL.to_owned() } else { format!("{TOOL}@{task}") }
}

/// The task in a reserved name, and the part after the prefix.
fn split(key: &[u8]) -> Option<(&str, &[u8])> {
    let rest = key.strip_prefix(TOOL.as_bytes())?;
    if let Some(kind) = rest.strip_prefix(b":") {
        return Some(("", kind));
    }
    let rest = rest.strip_prefix(b"@")?;
    let (task, kind) = rest.split_at(memchr::memchr(b':', rest)?);
    let task = std::str::from_utf8(task).ok().filter(|task| !task.is_empty())?;
    TaskName::is_name(task).then_some((task, kind.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(task: &str) -> ReservedNames {
        ReservedNames::new(&task.parse().unwrap())
    }

    fn all(names: &ReservedNames) -> Vec<String> {
        let slot = Slot(12182);
        let bytes = |name: Vec<u8>| String::from_utf8(name).unwrap();
        vec![
            names.checkpoint().to_owned(),
            names.guard(3),
            names.refetch(3, None),
            names.refetch(3, Some(slot)),
            bytes(names.expiry(b"k")),
            bytes(names.expiry(b"a{b}c")),
            names.due(3, None),
            names.due(3, Some(slot)),
            names.left_out(3, None),
            names.left_out(3, Some(slot)),
            names.expiries(3),
            names.kept(),
            bytes(names.growing(b"k")),
            bytes(names.rebuilt(b"k")),
            bytes(names.slot_position(slot)),
        ]
    }

    #[test]
    fn every_name() {
        let tag = tag_of(Slot(12182));
        let expected = |prefix: &str| -> Vec<String> {
            [
                "checkpoint",
                "guard:3",
                "reread:3",
                &format!("reread:3:{{{tag}}}"),
                "expiry:{k}",
                "expiry:a{b}c",
                "due:3",
                &format!("due:3:{{{tag}}}"),
                "left-out:3",
                &format!("left-out:3:{{{tag}}}"),
                "expiries:3",
                "kept",
                "growing:{k}",
                "rebuilt:{k}",
                &format!("{{{tag}}}"),
            ]
            .into_iter()
            .map(|name| format!("{prefix}{name}"))
            .collect()
        };
        assert_eq!(all(&ReservedNames::default()), expected("df2redis:"));
        assert_eq!(all(&named("a")), expected("df2redis@a:"));
        assert_eq!(
            (named("").connection(), named("a").connection()),
            ("df2redis".into(), "df2redis@a".into())
        );
    }

    #[test]
    fn whose_a_name_is() {
        let (none, a, b) = (named(""), named("a"), named("b"));
        for name in all(&a) {
            let name = name.as_bytes();
            assert!(
                a.is_own(name) && !b.is_own(name) && !none.is_own(name) && ReservedNames::is_reserved(name)
            );
            assert_eq!(ReservedNames::task_of(name).unwrap().as_str(), "a");
        }
        for name in all(&none) {
            let name = name.as_bytes();
            assert!(none.is_own(name) && !a.is_own(name) && ReservedNames::is_reserved(name));
            assert_eq!(ReservedNames::task_of(name), Some(TaskName::default()));
        }
        assert_eq!(ReservedNames::kind_of(b"df2redis@a:due:3"), Some(&b"due:3"[..]));
        for name in [
            &b""[..],
            b"k",
            b"df2redis",
            b"df2redisx:",
            b"df2redis@a",
            b"df2redis@:x",
            b"df2redis@a b:x",
            b"df2redis@\xff:x",
        ] {
            assert!(!ReservedNames::is_reserved(name), "{}", name.escape_ascii());
            assert_eq!(ReservedNames::task_of(name), None);
        }
        let tasks = ReservedNames::TASKS.as_bytes();
        assert!(ReservedNames::is_reserved(tasks) && !none.is_own(tasks) && !a.is_own(tasks));
        assert_eq!(ReservedNames::task_of(tasks), None);
    }
}
