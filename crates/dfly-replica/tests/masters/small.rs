//! One recorded flow of a real v1.40.1 master, 600 bytes with every type of value, as a session of its own.

use std::fs::write;
use std::path::Path;

use dfly_testkit::Recording;

/// Where `JOURNAL_OFFSET` begins: the master sends it after STARTSTABLE.
const STABLE_AT: usize = 0x1e5;

/// Where the token stands.
const TOKEN_AT: usize = 0x1f7;

const ID: &str = "0123456789abcdef0123456789abcdef01234567";

pub(crate) fn recording() -> Recording {
    let dir = tempfile::tempdir().unwrap();
    control(dir.path());
    flow(dir.path(), &stream());
    write(dir.path().join("expected.jsonl"), "").unwrap();
    let meta = r#"{"scenario":"full-flow-1","seed":0,"dragonfly_version":["df-v1.40.1"],"master_flags":[],"connections":2,"keys":0,"recorded_at":0}"#;
    write(dir.path().join("meta.json"), meta).unwrap();
    Recording::load(dir.path()).unwrap()
}

fn stream() -> Vec<u8> {
    let hex = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dfly-rdb/tests/data/vectors/full-flow-1.hex");
    let text = std::fs::read_to_string(hex).unwrap();
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn control(dir: &Path) {
    let before = "PING\r\nREPLCONF capa dragonfly\r\nREPLCONF CLIENT-VERSION 4\r\nDFLY SYNC SYNC1\r\n";
    let stable = "DFLY STARTSTABLE SYNC1\r\n";
    let replies = format!("+PONG\r\n*5\r\n+{ID}\r\n+SYNC1\r\n:1\r\n:5\r\n+{ID}\r\n+OK\r\n+OK\r\n+OK\r\n");
    write(dir.join("conn-0.c2s"), format!("{before}{stable}")).unwrap();
    write(dir.join("conn-0.s2c"), &replies).unwrap();
    let (first, second, all) = (before.len(), stable.len(), replies.len());
    let lines =
        format!("[1, \"c2s\", 0, {first}]\n[2, \"s2c\", 0, {all}]\n[1000, \"c2s\", {first}, {second}]\n");
    write(dir.join("conn-0.jsonl"), lines).unwrap();
}

fn flow(dir: &Path, stream: &[u8]) {
    let token = std::str::from_utf8(&stream[TOKEN_AT..TOKEN_AT + 40]).unwrap();
    let reply = format!("*2\r\n+FULL\r\n+{token}\r\n");
    let asked = format!("DFLY FLOW {ID} SYNC1 0\r\nREPLCONF ACK 3\r\n");
    write(dir.join("conn-1.c2s"), &asked).unwrap();
    write(dir.join("conn-1.s2c"), [reply.as_bytes(), stream].concat()).unwrap();
    let (first, rest) = (reply.len() + STABLE_AT, stream.len() - STABLE_AT);
    let lines = format!(
        "[10, \"c2s\", 0, {}]\n[20, \"s2c\", 0, {first}]\n[2000, \"s2c\", {first}, {rest}]\n",
        asked.len()
    );
    write(dir.join("conn-1.jsonl"), lines).unwrap();
}
