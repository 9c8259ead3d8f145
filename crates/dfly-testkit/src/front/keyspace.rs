//! The commands with which an ordinary client reads keys.

use std::hash::{DefaultHasher, Hasher};
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

/// How many keys SCAN gives at a time without COUNT.
const KEYS_IN_PAGE: u64 = 10;

/// Where SCAN comes to a key, never 0. It depends on the key alone, so keys that come and go meanwhile change nothing for others.
fn place(key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(key);
    (hasher.finish() >> 16) + 1
}

/// The keys from the place `from` on, `count` of them and those in the same place as the last one; and where the next page begins,
/// 0 behind the last one.
fn page(keys: Vec<Vec<u8>>, from: u64, count: usize) -> (Vec<Vec<u8>>, u64) {
    let keys = keys.into_iter().map(|key| (place(&key), key));
    let mut rest: Vec<_> = keys.filter(|(place, _)| *place >= from).collect();
    let mut next = 0;
    if let Some(last) = count.checked_sub(1).filter(|last| last + 1 < rest.len()) {
        let (_, (end, _), _) = rest.select_nth_unstable_by_key(last, |(place, _)| *place);
        next = *end + 1;
        rest.retain(|(place, _)| *place < next);
    }
    (rest.into_iter().map(|(_, key)| key).collect(), next)
}

impl<O: Origin> State<O> {
    /// What is stored under a key.
    pub(super) fn stored(&self, db: u32, key: &Bytes) -> Stored {
        match &self.options.values {
            Some(values) => Ok(values.get(&(db, key.clone())).cloned()),
            None => self.origin.read(db, key),
        }
    }

    /// `SCAN cursor [COUNT count]`: a page of the keys of the connection's database, in the order of their places.
    pub(super) fn scan(&self, connection: usize, args: &[Bytes]) -> Outcome {
        let db = self.connections.get(connection).map_or(0, |log| log.db);
        let Some(keys) = self.origin.keys(db) else { return Outcome::error("ERR unknown command `SCAN`") };
        let Some(from) = args.first().and_then(|word| number(word)) else {
            return Outcome::error("ERR invalid cursor");
        };
        let count = args
            .iter()
            .skip_while(|word| !word.eq_ignore_ascii_case(b"COUNT"))
            .nth(1)
            .map(|word| number(word));
        let Some(count) = count.unwrap_or(Some(KEYS_IN_PAGE)).filter(|count| *count > 0) else {
            return Outcome::error("ERR syntax error");
        };
        let (page, next) = page(keys, from, usize::try_from(count).unwrap_or(usize::MAX));
        let next = next.to_string();
        let mut reply = format!("*2\r\n${}\r\n{next}\r\n*{}\r\n", next.len(), page.len()).into_bytes();
        for key in page {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key that was there all the time is given, once, whatever comes and goes.
    #[test]
    fn pages_of_a_scan() {
        let keys = |from: usize| (from..500).map(|nth| nth.to_string().into_bytes()).collect::<Vec<_>>();
        for count in [1, 7, 499, 500, 1000] {
            let (mut given, mut from, mut pages) = (Vec::new(), 0, 0);
            loop {
                let (some, next) = page(keys(if pages % 2 == 0 { 0 } else { 100 }), from, count);
                assert!(next == 0 || some.len() >= count);
                given.extend(some);
                (from, pages) = (next, pages + 1);
                if from == 0 {
                    break;
                }
            }
            let given: Vec<_> = given.into_iter().filter(|key| keys(100).contains(key)).collect();
            let distinct: std::collections::BTreeSet<_> = given.iter().cloned().collect();
            assert_eq!((given.len(), distinct.len()), (400, 400), "pages of {count}");
        }
        assert_eq!(page(Vec::new(), 0, 10), (Vec::new(), 0));
    }
}
