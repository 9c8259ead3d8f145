//! The commands with which an ordinary client reads keys.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::origin::Origin;
use super::replconf::number;
use super::state::{Outcome, State, Stored};
use crate::script::slot_of;

fn system_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The name of a value's type, from the first byte of its payload (protocol section 4.2).
fn type_name(first: u8) -> &'static str {
    match first {
        0 => "string",
        1 | 10 | 14 | 18 => "list",
        2 | 11 | 20 => "set",
        3 | 5 | 12 | 17 => "zset",
        4 | 9 | 13 | 16 => "hash",
        15 | 19 | 21 => "stream",
        _ => "ReJSON-RL",
    }
}

impl<O: Origin> State<O> {
    /// What is stored under a key.
    pub(super) fn stored(&self, db: u32, key: &Bytes) -> Stored {
        match &self.options.values {
            Some(values) => Ok(values.get(&(db, key.clone())).cloned()),
            None => self.origin.read(db, key),
        }
    }

    /// All keys of the connection's database in one page.
    pub(super) fn scan(&self, connection: usize) -> Outcome {
        let db = self.connections.get(connection).map_or(0, |log| log.db);
        let Some(keys) = self.origin.keys(db) else { return Outcome::error("ERR unknown command `SCAN`") };
        let mut reply = format!("*2\r\n$1\r\n0\r\n*{}\r\n", keys.len()).into_bytes();
        for key in keys {
            reply.extend_from_slice(format!("${}\r\n", key.len()).as_bytes());
            reply.extend_from_slice(&key);
            reply.extend_from_slice(b"\r\n");
        }
        Outcome::Reply(reply)
    }

    /// `MEMORY USAGE key`: what the payload of its value takes, and some bytes for the key.
    pub(super) fn memory(&self, connection: usize, args: &[Bytes]) -> Outcome {
        let [_usage, key] = args else { return Outcome::error("ERR syntax error") };
        let db = self.connections.get(connection).map_or(0, |log| log.db);
        match self.origin.read(db, key) {
            Ok(Some((payload, _))) => {
                Outcome::Reply(format!(":{}\r\n", payload.len() + key.len()).into_bytes())
            }
            Ok(None) => Outcome::Reply(b"$-1\r\n".to_vec()),
            Err(refusal) => Outcome::error(refusal),
        }
    }

    pub(super) fn keyspace(&mut self, connection: usize, name: &[u8], args: &[Bytes]) -> Outcome {
        let [argument] = args else { return Outcome::error("ERR wrong number of arguments") };
        if name == b"SELECT" {
            let db = number(argument).and_then(|db| u32::try_from(db).ok());
            return match (self.connections.get_mut(connection), db) {
                (Some(log), Some(db)) => {
                    log.db = db;
                    Outcome::ok()
                }
                _ => Outcome::error("ERR invalid DB index"),
            };
        }
        let slot = slot_of(argument);
        if self.given_away.iter().any(|slots| slots.contains(&slot)) {
            return Outcome::error(&format!("MOVED {slot} 127.0.0.1:1"));
        }
        let db = self.connections.get(connection).map_or(0, |log| log.db);
        let reply = match (name, self.stored(db, argument)) {
            (b"EXISTS", found) => format!(":{}\r\n", u8::from(!matches!(found, Ok(None)))).into_bytes(),
            (_, Err(refusal)) => return Outcome::error(refusal),
            (b"DUMP", Ok(None)) => b"$-1\r\n".to_vec(),
            (b"TYPE", Ok(found)) => {
                let kind = found.and_then(|(payload, _)| payload.first().copied()).map_or("none", type_name);
                format!("+{kind}\r\n").into_bytes()
            }
            (b"DUMP", Ok(Some((payload, _)))) => {
                [format!("${}\r\n", payload.len()).as_bytes(), &payload, b"\r\n"].concat()
            }
            (b"PTTL", Ok(Some((_, at)))) if at >= 0 => {
                let now = self.options.clock.map_or_else(system_time, |clock| clock());
                let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
                format!(":{}\r\n", (at - now).max(0)).into_bytes()
            }
            (_, Ok(found)) => format!(":{}\r\n", found.map_or(-2, |(_, at)| at)).into_bytes(),
        };
        Outcome::Reply(reply)
    }
}
