//! A model of a server with one database: it carries out the commands that the tool sends, as Redis does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use dfly_translate::{CommandFacts, CommandKind, ReservedNames};
use redis_resp::{EncodedCommand, ServerError};

use super::Executes;
use crate::checkpoint::Position;

/// What a server holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contents {
    pub strings: BTreeMap<Bytes, Vec<u8>>,
    pub sets: BTreeMap<Bytes, BTreeSet<Bytes>>,
    /// The flow's position.
    pub position: Option<Position>,
    /// Keys that the source does not have are still to be removed.
    pub sweeps: bool,
}

/// A server.
#[derive(Debug, Default)]
pub(crate) struct Server {
    pub now: Contents,
    /// What it finds on its disk when it starts again.
    pub saved: Contents,
    /// So many data commands are refused next, although the server could carry them out.
    pub refusals: usize,
}

/// A server that several writers know, one after the other.
pub(crate) type SharedServer = Arc<Mutex<Server>>;

/// Holds the server.
pub(crate) fn lock(server: &SharedServer) -> MutexGuard<'_, Server> {
    server.lock().expect("no test goes on behind a panic")
}

impl Server {
    /// The keys, but for the tool's own.
    pub(crate) fn data(&self) -> BTreeMap<Bytes, Vec<u8>> {
        let is_data = |(key, _): &(&Bytes, &Vec<u8>)| !ReservedNames::is_reserved(key);
        self.now.strings.iter().filter(is_data).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn run(&mut self, name: &[u8], words: &[Bytes]) -> Result<(), ServerError> {
        let Contents { strings, sets, .. } = &mut self.now;
        match (name, words) {
            (b"SET", [key, value, ..]) => drop(strings.insert(key.clone(), value.to_vec())),
            (b"MSET", pairs) => {
                let pairs = pairs.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].to_vec()));
                strings.extend(pairs);
            }
            (b"APPEND", [key, value]) => {
                strings.entry(key.clone()).or_default().extend_from_slice(value);
            }
            (b"INCRBY", [key, by]) => add(strings.entry(key.clone()).or_default(), by)?,
            (b"INCR", [key]) => add(strings.entry(key.clone()).or_default(), b"1")?,
            (b"DEL" | b"UNLINK", keys) => {
                for key in keys {
                    strings.remove(key);
                    sets.remove(key);
                }
            }
            // The script that checks for a key, and notes it if it is not there.
            (b"EVAL", [_script, _two, key, set, member]) if !strings.contains_key(key) => {
                sets.entry(set.clone()).or_default().insert(member.clone());
                return Err(ServerError::parse(b"MISSING it has expired"));
            }
            (b"EVAL", [_script, _two, _key, _set, _member]) => {}
            // The script that a RENAME becomes, for the source may have had the key when the target has not.
            (b"EVAL", [_script, _two, from, to]) => match strings.remove(from) {
                Some(value) => drop(strings.insert(to.clone(), value)),
                None => drop(strings.remove(to)),
            },
            (b"SADD", [key, members @ ..]) => {
                sets.entry(key.clone()).or_default().extend(members.iter().cloned());
            }
            (b"SREM", [key, members @ ..]) => {
                let set = sets.entry(key.clone()).or_default();
                set.retain(|member| !members.contains(member));
            }
            _ => panic!("the server in memory does not know {} {words:?}", name.escape_ascii()),
        }
        Ok(())
    }

    /// Goes back to what is on its disk.
    pub(crate) fn restart(&mut self) {
        self.now = self.saved.clone();
    }
}

impl Executes for Server {
    fn execute(&mut self, command: EncodedCommand<'_>) -> Result<(), ServerError> {
        if CommandFacts::of(command).kind == CommandKind::Data && self.refusals > 0 {
            self.refusals -= 1;
            return Err(ServerError::parse(b"ERR refused by the test"));
        }
        let words: Vec<Bytes> = command.arguments().map(Bytes::copy_from_slice).collect();
        match words.as_slice() {
            [name, ..] if name.eq_ignore_ascii_case(b"SELECT") => Ok(()),
            [name, words @ ..] => self.run(&name.to_ascii_uppercase(), words),
            [] => Err(ServerError::parse(b"ERR empty command")),
        }
    }

    fn empty(&mut self) {
        self.now.strings.clear();
        self.now.sets.clear();
    }

    fn store(&mut self, at: Position) {
        let is_next = self.now.position.is_none_or(|before| before.transaction + 1 == at.transaction);
        assert!(is_next || at.transaction == 0, "{at} behind {:?}", self.now.position);
        self.now.position = Some(at);
    }
}

fn add(value: &mut Vec<u8>, by: &[u8]) -> Result<(), ServerError> {
    let number = |text: &[u8]| match text {
        b"" => Some(0i64),
        text => std::str::from_utf8(text).ok()?.parse().ok(),
    };
    let sum = number(value).zip(number(by)).and_then(|(value, by)| value.checked_add(by));
    let sum = sum.ok_or_else(|| ServerError::parse(b"ERR value is not an integer or out of range"))?;
    *value = sum.to_string().into_bytes();
    Ok(())
}
