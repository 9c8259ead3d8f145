//! What one connection is answered.

use bytes::Bytes;
use redis_slots::Slot;

use super::keyspace::Place;
use super::{State, nodes, scripts};
use crate::resp::reply::{array, bulk, error, int, nil, ok, simple};
use crate::resp::{Command, begins};

/// What is listed of other clients: one that a session before may have left.
const STRANGER: &str = "id=7777 addr=127.0.0.1:1 name=df2redis db=0\n";

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Talk {
    pub node: usize,
    pub connection: usize,
    db: u32,
    queued: Option<Vec<Command>>,
    /// A command of the transaction was refused when it came.
    is_aborted: bool,
    watched: Vec<(Place, u64)>,
}

/// How many databases the server has.
const DATABASES: u32 = 16;

impl Talk {
    pub(super) fn new(node: usize, connection: usize) -> Self {
        Self { node, connection, db: 0, queued: None, is_aborted: false, watched: Vec::new() }
    }

    pub(super) fn answer(&mut self, state: &mut State, command: &Command) -> Vec<u8> {
        match &command[0][..] {
            b"MULTI" => {
                self.queued = Some(Vec::new());
                ok()
            }
            b"EXEC" => self.execute(state),
            b"DISCARD" => {
                (self.queued, self.is_aborted) = (None, false);
                self.watched.clear();
                ok()
            }
            b"WATCH" if self.queued.is_some() => error("ERR WATCH inside MULTI is not allowed"),
            b"WATCH" => {
                let place = (self.db, command[1].clone());
                self.watched.push((place.clone(), state.nodes[self.node].keys.touches(&place)));
                ok()
            }
            _ => self.carry_out_or_queue(state, command),
        }
    }

    fn carry_out_or_queue(&mut self, state: &mut State, command: &Command) -> Vec<u8> {
        match (state.refused(command), &mut self.queued) {
            (Some(text), None) => error(&text),
            // The mark goes with it, and the command is refused when it is carried out.
            (Some(text), Some(queued)) if text.starts_with("WRONGTYPE") => {
                queued.push(vec![Bytes::new(), text.into()]);
                simple("QUEUED")
            }
            (Some(text), Some(_)) => {
                self.is_aborted = true;
                error(&text)
            }
            (None, Some(queued)) => {
                queued.push(command.clone());
                simple("QUEUED")
            }
            (None, None) => self.carry_out(state, command),
        }
    }

    fn execute(&mut self, state: &mut State) -> Vec<u8> {
        let queued = self.queued.take().unwrap_or_default();
        let watched = std::mem::take(&mut self.watched);
        if std::mem::take(&mut self.is_aborted) {
            return error("EXECABORT Transaction discarded because of previous errors.");
        }
        let keys = &state.nodes[self.node].keys;
        if watched.iter().any(|(place, touches)| keys.touches(place) != *touches) {
            return b"*-1\r\n".to_vec();
        }
        array(queued.iter().map(|command| match &command[0][..] {
            b"" => error(std::str::from_utf8(&command[1]).unwrap()),
            _ => self.carry_out(state, command),
        }))
    }

    fn carry_out(&mut self, state: &mut State, command: &Command) -> Vec<u8> {
        match &command[0][..] {
            b"PING" => simple("PONG"),
            b"CONFIG" => array([bulk(&command[2]), bulk("536870912")]),
            b"INFO" => bulk(nodes::info(&state.nodes, self.node)),
            b"COMMAND" => array(command[2..].iter().map(|_| b"*-1\r\n".to_vec())),
            b"CLIENT" => self.client(command),
            b"CLUSTER" => self.cluster(state, command),
            b"TIME" => nodes::time(),
            b"WAIT" => int(1),
            b"ASKING" => ok(),
            b"SELECT" => {
                let db = std::str::from_utf8(&command[1]).unwrap().parse().unwrap();
                if db >= DATABASES {
                    return b"-ERR DB index is out of range\r\n".to_vec();
                }
                self.db = db;
                ok()
            }
            b"DBSIZE" => int(state.nodes[self.node].keys.names(self.db).len()),
            b"SCAN" => array([bulk("0"), array(state.nodes[self.node].keys.names(self.db).iter().map(bulk))]),
            b"FLUSHALL" | b"FLUSHDB" => {
                let db = (command[0] == "FLUSHDB").then_some(self.db);
                state.nodes[self.node].keys.clear(db);
                ok()
            }
            _ => self.with_key(state, command),
        }
    }

    fn client(&self, command: &Command) -> Vec<u8> {
        match &command[1][..] {
            b"SETNAME" => ok(),
            b"ID" => int(self.connection + 1),
            b"LIST" => {
                bulk(format!("{STRANGER}id={} addr=127.0.0.1:2 name=df2redis db=0\n", self.connection + 1))
            }
            b"KILL" => int(1),
            b"INFO" => bulk(format!("id={} name=df2redis db={}\n", self.connection + 1, self.db)),
            other => panic!("CLIENT {other:?}"),
        }
    }

    fn cluster(&self, state: &State, command: &Command) -> Vec<u8> {
        match &command[1][..] {
            b"SHARDS" => nodes::shards(&state.nodes),
            b"NODES" => bulk(nodes::table(&state.nodes, self.node)),
            b"GETKEYSINSLOT" => {
                let slot: u16 = std::str::from_utf8(&command[2]).unwrap().parse().unwrap();
                let mut names = state.nodes[self.node].keys.names(0);
                names.retain(|name| Slot::of(name) == Slot(slot));
                array(names.iter().map(bulk))
            }
            other => panic!("CLUSTER {other:?}"),
        }
    }

    fn with_key(&self, state: &mut State, command: &Command) -> Vec<u8> {
        let at = match &command[0][..] {
            b"EVAL" => 3,
            b"XGROUP" => 2,
            _ => 1,
        };
        let key = command.get(at).unwrap_or_else(|| panic!("{command:?}"));
        let (slot, count) = (Slot::of(key), state.nodes.len());
        let owner = nodes::owner(slot, count);
        if owner != self.node && count > 1 {
            return error(&format!("MOVED {} {}", slot.0, state.nodes[owner].address));
        }
        let keys = &mut state.nodes[self.node].keys;
        match begins(command, &["EVAL"]) {
            true => scripts::eval(keys, self.db, command),
            false if command[0] == "SCRIPT" => nil(),
            false => keys.carry_out(self.db, command),
        }
    }
}
