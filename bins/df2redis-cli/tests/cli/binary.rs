//! Running the binary.

use std::process::{Child, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_df2redis-cli"));
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs to the end.
pub(crate) fn run(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

/// What it wrote to standard error.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The same within limits of the shell, such as `ulimit -Hn 64`.
pub(crate) fn spawn_within(limits: &str, args: &[&str]) -> Child {
    let mut shell = Command::new("sh");
    let script = format!("{limits}; exec \"$0\" \"$@\"");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_df2redis-cli")]).args(args).stdin(Stdio::null());
    shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Starts it; it runs until told to stop.
pub(crate) fn spawn(args: &[&str]) -> Child {
    command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Starts it with its messages on the test's own standard error, so that no pipe has to be read.
pub(crate) fn spawn_quiet(args: &[&str]) -> Child {
    command(args).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap()
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Stops it with a signal and waits.
pub(crate) fn stop(child: Child, with: Signal) -> (ExitStatus, String) {
    signal(&child, with);
    let output = child.wait_with_output().unwrap();
    (output.status, stderr(&output))
}
