//! A master with its own replica, and the journal between them.

use std::ffi::OsString;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use dfly_testkit::{RedisClient, RedisServer, Reply};
use redis_resp::connection::Peer;

use super::form::{unescape, words};
use super::state::State;
use super::tape::{Recorded, Tape};
use crate::memcached::Memcached;
use crate::source::{endpoint, offsets, start};

/// How long the replica may take for anything.
const LIMIT: Duration = Duration::from_secs(10);

/// The two servers and a connection to each.
#[derive(Debug)]
pub(crate) struct Pair {
    /// The form that is being tried, for messages.
    pub form: &'static str,
    pub master: RedisServer,
    pub client: RedisClient,
    _replica: RedisServer,
    observer: RedisClient,
    tape: Tape,
    memcached: Memcached,
    waiting: Vec<JoinHandle<Reply>>,
    /// Records that the replica did not count because it could not even begin to carry them out.
    refused: u64,
}

impl Pair {
    pub(crate) fn start(binary: &OsString, shards: usize) -> Self {
        let memcached = Memcached::free();
        let threads = format!("--proactor_threads={shards}");
        let flags = [&threads, "--dbnum=128", &memcached.flag()];
        let (master, replica) = (start(binary, &flags), start(binary, &flags[..2]));
        let port = master.address().port().to_string();
        let mut observer = replica.client().unwrap();
        observer.expect(&[b"REPLICAOF", b"127.0.0.1", port.as_bytes()]).unwrap();
        let client = master.client().unwrap();
        let tape = Tape::open(&endpoint(Peer::Source, &master));
        Self {
            form: "",
            master,
            client,
            _replica: replica,
            observer,
            tape,
            memcached,
            waiting: Vec::new(),
            refused: 0,
        }
    }

    /// Takes what the journal has, and waits until the replica has carried it out.
    pub(crate) fn settle(&mut self) -> Vec<Recorded> {
        let (wanted, until) = (offsets(&mut self.client), Instant::now() + LIMIT);
        let journal = self.tape.take(&wanted);
        self.refused += journal.iter().filter(|record| is_cut_short(&record.text)).count() as u64;
        while self.carried_out() + self.refused < wanted.iter().sum() {
            assert!(Instant::now() < until, "{}: the replica is behind {wanted:?}", self.form);
        }
        journal
    }

    fn carried_out(&mut self) -> u64 {
        let info = self.observer.expect(&[b"INFO", b"REPLICATION"]).unwrap().text().unwrap();
        let up = info.contains("master_link_status:up") && info.contains("master_sync_in_progress:0");
        let offset = info.lines().find_map(|line| line.strip_prefix("slave_repl_offset:"));
        offset.filter(|_| up).map_or(0, |offset| offset.parse().unwrap())
    }

    /// What the master and the replica hold.
    pub(crate) fn states(&mut self) -> (State, State) {
        let replica = State::read(&mut self.observer);
        (State::read(&mut self.client), replica)
    }

    /// Runs one line: a command, `& command` on a connection of its own that is left waiting, or `mc: text` for the
    /// memcached port. Refusals are part of many forms.
    pub(crate) fn run(&mut self, line: &str) {
        if let Some(text) = line.strip_prefix("mc: ") {
            return self.memcached.ask(&unescape(text));
        }
        if let Some(line) = line.strip_prefix("& ") {
            return self.leave_waiting(line);
        }
        let words = words(line);
        let args: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        match args.as_slice() {
            [b"restore-of", from, to, options @ ..] => self.restore(from, to, options),
            [b"load-chunks-of", from, to] => self.load_chunks(from, to),
            _ => {
                let answer = self.client.command(&args);
                assert!(answer.is_ok(), "{}: {line}: {answer:?}", self.form);
            }
        }
    }

    fn leave_waiting(&mut self, line: &str) {
        let (words, mut client) = (words(line), self.master.client().unwrap());
        self.waiting.push(thread::spawn(move || {
            client.command(&words.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap()
        }));
        let blocked = format!("blocked_clients:{}\r", self.waiting.len());
        let until = Instant::now() + LIMIT;
        while !self.client.expect(&[b"INFO", b"CLIENTS"]).unwrap().text().unwrap().contains(&blocked) {
            assert!(Instant::now() < until, "{}: {line} does not block", self.form);
        }
    }

    /// Waits for the commands that were left waiting.
    pub(crate) fn join(&mut self) {
        self.waiting.drain(..).for_each(|waiting| drop(waiting.join().unwrap()));
    }

    fn restore(&mut self, from: &[u8], to: &[u8], options: &[&[u8]]) {
        let image = self.client.expect(&[b"DUMP", from]).unwrap().bytes().unwrap();
        let (ttl, options) = options.split_first().unwrap();
        self.client.command(&[&[&b"RESTORE"[..], to, ttl, &image], options].concat()).unwrap();
    }

    fn load_chunks(&mut self, from: &[u8], to: &[u8]) {
        let mut cursor = "0".to_owned();
        loop {
            let reply = self.client.expect(&[b"BF.SCANDUMP", from, cursor.as_bytes()]).unwrap();
            let [next, chunk] = reply.array().unwrap() else {
                unreachable!("a cursor and a chunk: {reply:?}")
            };
            cursor = next.int().unwrap().to_string();
            if cursor == "0" {
                return;
            }
            self.client.expect(&[b"BF.LOADCHUNK", to, cursor.as_bytes(), &chunk.bytes().unwrap()]).unwrap();
        }
    }
}

/// Whether a record has fewer arguments than its command needs at least.
fn is_cut_short(record: &str) -> bool {
    let least = match record.split(' ').next() {
        Some("GEORADIUS") => 6,
        Some("GEORADIUSBYMEMBER") => 5,
        Some("CMS.MERGE") => 4,
        _ => 0,
    };
    record.split(' ').count() < least
}
