//! Memory is bounded: a value and a file that are larger than what a process may have.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Output};

use dfly_wire::packed::write_uint;

/// What a process may have, in KiB of addresses.
const LIMIT: &str = "90000";

/// Fields of the large hash, and keys of the large file. Together they take about 200 MB.
const COUNT: u64 = 1_000_000;

/// A file with one hash and many strings, without a checksum.
fn write(path: &Path) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let mut head = b"REDIS0009\xfe\0\x04\x01h".to_vec();
    write_uint(COUNT, &mut head);
    file.write_all(&head).unwrap();
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    for i in 0..COUNT {
        let (field, value) = (text(&format!("field:{i:012}")), text(&format!("{i:060}")));
        file.write_all(&[field, value].concat()).unwrap();
    }
    for i in 0..COUNT {
        let (key, value) = (text(&format!("user:{i}:{:020}", i * 7)), text(&format!("{i:060}")));
        file.write_all(&[&[0][..], &key, &value].concat()).unwrap();
    }
    file.write_all(b"\xff\0\0\0\0\0\0\0\0").unwrap();
    file.flush().unwrap();
}

#[test]
fn more_than_fits_into_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.rdb");
    write(&path);
    assert!(path.metadata().unwrap().len() > 170_000_000);
    let (file, out) = (path.to_str().unwrap(), folder.path().join("out.rdb"));
    for args in [
        &["summary", file][..],
        &["json", file],
        &["resp", "--restore", file],
        &["biggest", file],
        &["prefixes", file],
        &["convert", "--to", "redis-6.2", file, out.to_str().unwrap()],
        &["diff", file, out.to_str().unwrap()],
    ] {
        let done = limited(args);
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
    // The limit is one: with the whole hash in memory it is not enough.
    assert!(!limited(&["summary", "--hold", "1GiB", file]).status.success());
}

fn limited(args: &[&str]) -> Output {
    let limited = format!("ulimit -v {LIMIT}; exec \"$0\" inspect \"$@\" >/dev/null");
    let mut command = Command::new("bash");
    command.args(["-c", &limited, env!("CARGO_BIN_EXE_df2redis-cli")]).args(args);
    command.output().unwrap()
}
