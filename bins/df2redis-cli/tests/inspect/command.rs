//! Runs the binary.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

pub(crate) fn inspect<A: AsRef<OsStr>>(args: &[A]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_df2redis-cli"));
    command.arg("inspect").args(args).stdin(Stdio::null());
    command
}

/// What came of a command, whatever it was.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn run<A: AsRef<OsStr>>(args: &[A]) -> Done {
    done(&inspect(args).output().unwrap())
}

pub(crate) fn done(output: &Output) -> Done {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Done { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// The output of a command that must succeed without a word on standard error.
pub(crate) fn ok<A: AsRef<OsStr>>(args: &[A]) -> String {
    let done = run(args);
    assert_eq!((done.code, &done.err[..]), (0, ""), "{}", done.out);
    done.out
}

/// The JSON values of the output, one a line.
pub(crate) fn lines(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
