//! What is no snapshot: one clear line, and an exit code.

use std::fs;
use std::path::Path;

use dfly_wire::crc64;

use crate::command::{inspect, run};
use crate::files::{snapshot, snapshots};

/// The one line that a command fails with.
fn error(args: &[&str]) -> String {
    let done = run(args);
    assert_eq!((done.code, done.err.lines().count()), (1, 1), "{args:?}: {}", done.err);
    let line = done.err.strip_prefix("error: ").unwrap().trim_end();
    line.strip_suffix(" [DF0004]").unwrap().to_owned()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn cut_files() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["redis-7.0", "dragonfly-1.40-rdb", "valkey-9.1"] {
        let whole = fs::read(snapshot(name).file()).unwrap();
        // Behind its end a Dragonfly file has padding.
        let end = if name.starts_with("dragonfly") { whole.len() - 5000 } else { whole.len() };
        for cut in (10..end).step_by(end / 9).chain([end - 1]) {
            let file = write(folder.path(), "cut.rdb", &whole[..cut]);
            let told = error(&["summary", &file]);
            let stated = format!("{file}: the stream is cut off at byte {cut}, ");
            assert!(told.starts_with(&stated), "{name}: {told}");
        }
    }
}

#[test]
fn every_subcommand_refuses_a_cut_file() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(snapshot("redis-7.0").file()).unwrap();
    let file = write(folder.path(), "cut.rdb", &whole[..whole.len() / 2]);
    let out = folder.path().join("out.rdb");
    for args in [
        &["keys", &file][..],
        &["json", &file],
        &["resp", &file],
        &["resp", "--restore", &file],
        &["biggest", &file],
        &["prefixes", &file],
        &["diff", &file, &file],
        &["convert", "--to", "redis-7.0", &file, out.to_str().unwrap()],
    ] {
        assert!(error(args).contains("the stream is cut off"), "{args:?}");
    }
    assert!(!out.exists());
}

#[test]
fn changed_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = fs::read(snapshot("redis-7.0").file()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    let file = write(folder.path(), "changed.rdb", &bytes);
    let told = error(&["summary", &file]);
    assert!(told.starts_with(&file) && told.contains(" at offset "), "{told}");
}

#[test]
fn what_is_no_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let preamble = b"REDIS0009\xfa\x0caof-preamble\xc0\x01\xff";
    let preamble =
        [&preamble[..], &crc64::checksum(preamble).to_le_bytes(), b"*1\r\n$8\r\nFLUSHALL\r\n"].concat();
    let append_only = "this is an append-only file; only snapshots can be read: \
                       load it into a redis-server, run SAVE there, and use that .rdb file";
    for (name, bytes, stated) in [
        ("empty.rdb", &b""[..], "the file is empty"),
        ("text.rdb", b"hello there", "this is not a snapshot: it starts with neither REDIS nor VALKEY"),
        ("short.rdb", b"REDIS", "the stream is cut off at byte 5, 4 or more bytes are missing"),
        ("x.aof", b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n", append_only),
        ("stamped.aof", b"#TS:1700000000\r\n*2\r\n", append_only),
        ("preamble.aof", &preamble, append_only),
        ("x.base.rdb", b"REDIS0010\xfa\x08aof-base\xc0\x01\xff\0\0\0\0\0\0\0\0", append_only),
        ("x.aof.manifest", b"file appendonly.aof.1.base.rdb seq 1 type b\n", append_only),
        ("x.rdb.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\0", "the file is compressed with gzip; unpack it first"),
        ("x.rdb.zst", b"\x28\xb5\x2f\xfd\0\0\0\0", "the file is compressed with zstd; unpack it first"),
    ] {
        let file = write(folder.path(), name, bytes);
        assert_eq!(error(&["summary", &file]), format!("{file}: {stated}"));
    }
    let folder = folder.path().to_str().unwrap();
    assert_eq!(error(&["summary", folder]), format!("{folder}: this is a folder, not a file"));
    let missing = format!("{folder}/missing.rdb");
    let told = error(&["summary", &missing]);
    assert!(told.starts_with(&format!("{missing}: cannot open the file: No such file")), "{told}");
}

/// A copy of a Dragonfly set of three shards.
fn set(folder: &Path) -> [String; 4] {
    let from = snapshot("dragonfly-1.40-df-zstd-3shards").folder;
    ["summary", "0000", "0001", "0002"].map(|end| {
        let name = format!("snap-{end}.dfs");
        write(folder, &name, &fs::read(from.join(&name)).unwrap())
    })
}

#[test]
fn incomplete_sets() {
    let folder = tempfile::tempdir().unwrap();
    let [summary, first, second, third] = set(folder.path());
    fs::remove_file(&second).unwrap();
    let missing = format!("{second}: this shard file is missing; the summary says that the set has 3");
    for named in [&summary, &first, &third] {
        assert_eq!(error(&["summary", named]), missing);
    }
    let [summary, first, second, third] = set(folder.path());
    fs::remove_file(&summary).unwrap();
    let missing = format!(
        "{summary}: the summary file of the set is missing; it names the shard files that belong together"
    );
    assert_eq!(error(&["summary", &first, &second, &third]), missing);
}

#[test]
fn mixed_sets() {
    let folder = tempfile::tempdir().unwrap();
    let [summary, _, second, third] = set(folder.path());
    let other = snapshot("dragonfly-1.40-df-2shards").folder.join("snap-0001.dfs");
    fs::copy(other, &second).unwrap();
    let told = error(&["summary", &third]);
    let start =
        format!("{second}: this file is from another snapshot than {summary}: their snapshot-ids are ");
    assert!(told.starts_with(&start), "{told}");
    let [.., third] = set(folder.path());
    let fourth = third.replace("0002", "0003");
    fs::copy(&third, &fourth).unwrap();
    let stated =
        format!("{fourth}: this file does not belong to the set of {summary}, which has fewer shards");
    assert_eq!(error(&["summary", &fourth]), stated);
    let renamed = folder.path().join("renamed.dfs");
    fs::copy(&third, &renamed).unwrap();
    assert!(
        error(&["summary", renamed.to_str().unwrap()]).contains("is named NAME-summary.dfs or NAME-0000.dfs")
    );
}

/// Any file of a set stands for all of it, however often it is named.
#[test]
fn any_file_of_a_set() {
    let folder = tempfile::tempdir().unwrap();
    let [summary, first, second, third] = set(folder.path());
    let all = run(&["keys", &summary]);
    assert_eq!((all.code, all.out.lines().count()), (0, 110));
    for named in [&[&first[..]][..], &[&third, &second], &[&summary, &first, &second, &third]] {
        assert_eq!(run(&[&["keys"], named].concat()).out, all.out);
    }
}

#[test]
fn wrong_flags() {
    let file = snapshot("redis-7.0").file();
    for args in [
        &["summary"][..],
        &["nothing", &file],
        &["convert", &file, "out.rdb"],
        &["convert", "--to", "redis-4.0", &file, "out.rdb"],
        &["resp", "--target-version", "redis", &file],
        &["resp", "--on-unsupported", "maybe", &file],
        &["keys", "--type", "tree", &file],
        &["keys", "--expires-before", "soon", &file],
        &["keys", "--min-size", "big", &file],
        &["keys", "--persistent", "--expires", &file],
        &["biggest", "--top", "0", &file],
        &["prefixes", "--depth", "0", &file],
        &["json", "--hold", "1", &file],
        &["diff", &file],
    ] {
        let done = run(args);
        assert_eq!((done.code, &done.out[..]), (2, ""), "{args:?}");
        assert!(done.err.starts_with("error: "), "{}", done.err);
    }
}

/// A reader that has enough ends the command, without a word.
#[test]
fn a_closed_pipe() {
    for command in ["json", "resp", "keys"] {
        for snapshot in snapshots().iter().take(3) {
            let args = ["sh", "-c", "\"$0\" \"$@\" | head -c 10 >/dev/null"];
            let binary = env!("CARGO_BIN_EXE_df2redis-cli");
            let mut shell = std::process::Command::new("bash");
            shell.args(["-o", "pipefail", "-c", args[2], binary, "inspect", command]);
            shell.args(if command == "resp" { &["--on-unsupported", "skip"][..] } else { &[] });
            let done = shell.arg(snapshot.file()).output().unwrap();
            let told = String::from_utf8_lossy(&done.stderr).into_owned();
            assert!(done.status.success(), "{command}: {told}");
            assert!(told.is_empty() || told.starts_with("left out: "), "{told}");
        }
    }
    assert!(inspect(&["--help"]).output().unwrap().status.success());
}
