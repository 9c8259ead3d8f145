//! Cutovers of a live Dragonfly under load, into a server and into a cluster: no acknowledged write is missing on the target, none
//! is there twice, and writes go on behind every failure. Beside them a Dragonfly replica that takes over. Needs
//! `DF2REDIS_DRAGONFLY`, the path of a Dragonfly binary; without it the tests say in one line that they were skipped.
//! `CUTOVERS=50` is how many there are of each method, `IN_FLIGHT=4` how many writes of a client are under way at a time (for pauses).

mod figures;
mod native;
pub(crate) mod run;
mod writers;

use std::ffi::OsString;
use std::process::Output;
use std::thread::sleep;
use std::time::{Duration, Instant};

use self::figures::Figures;
use self::run::{Kind, Run};
use crate::binary::stderr;

const LIMIT: Duration = Duration::from_secs(60);

#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
pub(crate) fn dragonfly() -> Option<OsString> {
    let binary = std::env::var_os("DF2REDIS_DRAGONFLY");
    if binary.is_none() {
        println!("skipped: DF2REDIS_DRAGONFLY names no Dragonfly");
    }
    binary
}

fn cutovers() -> u64 {
    let count = std::env::var_os("CUTOVERS").and_then(|count| count.to_str()?.parse().ok());
    count.unwrap_or(3)
}

pub(crate) fn until(what: &str, is: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is() {
        assert!(Instant::now() < deadline, "not {what} in time");
        sleep(Duration::from_millis(20));
    }
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn succeeds(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(output), stderr(output));
}

/// What queued behind a pause is carried out when it ends, and comes to the target too.
fn by_pause(kind: Kind) {
    let Some(binary) = dragonfly() else { return };
    let run = Run::start(binary, kind);
    for verify in ["none", "recent"] {
        let mut figures = Figures::default();
        for nth in 0..cutovers() {
            run.writers.go_on();
            let safe = run.ask("cutover", &["--verify", verify]);
            let seen = run.writers.stopped_for();
            succeeds(&safe);
            figures.add(&stdout(&safe), seen);
            run.nothing_is_lost(&format!("cutover {nth}"));
            succeeds(&run.ask("cutover", &["--release"]));
        }
        figures.print(&format!("{kind:?}, pause, --verify {verify}"), run.writers.rate());
    }
    run.writers.go_on();
    run.end();
}

fn by_takeover(kind: Kind) {
    let Some(binary) = dragonfly() else { return };
    let (mut figures, mut rate) = (Figures::default(), 0);
    for nth in 0..cutovers() {
        let run = Run::start(binary.clone(), kind);
        rate = run.writers.rate();
        let safe = run.ask("cutover", &["--method", "takeover", "--shut-down-source"]);
        let seen = run.writers.stopped_for();
        succeeds(&safe);
        run.writers.all_end();
        run.nothing_is_lost(&format!("takeover {nth}"));
        figures.add(&stdout(&safe), seen);
        run.end();
    }
    figures.print(&format!("{kind:?}, takeover"), rate);
}

#[test]
fn a_pause_loses_nothing() {
    by_pause(Kind::Server);
}

#[test]
fn a_pause_loses_nothing_into_a_cluster() {
    by_pause(Kind::Cluster);
}

#[test]
fn a_takeover_loses_nothing() {
    by_takeover(Kind::Server);
}

#[test]
fn a_takeover_loses_nothing_into_a_cluster() {
    by_takeover(Kind::Cluster);
}

/// The user has stopped writes.
#[test]
fn none_is_safe_when_nobody_writes() {
    let Some(binary) = dragonfly() else { return };
    let run = Run::start(binary, Kind::Server);
    run.writers.stop();
    run.writers.all_end();
    for _ in 0..cutovers() {
        succeeds(&run.ask("cutover", &["--method", "none"]));
        run.nothing_is_lost("nobody writes");
        run.ask("cutover", &["--release"]);
    }
    run.end();
}

/// The target is killed while writes are stopped, and loses everything. It is copied again.
#[expect(clippy::print_stdout, reason = "a figure")]
fn a_killed_target_is_not_safe(run: &mut Run) {
    run.writers.go_on();
    let asked = run.begin_cutover(&["--timeout", "2"]);
    until("stopped", || run.writers.stopped_for() > Duration::from_millis(30));
    run.restart_target();
    let ended = asked.wait_with_output().unwrap();
    if ended.status.code() == Some(0) {
        // It was safe before.
        until("copied again", || run.target_holds_lists());
        let released = run.ask("cutover", &["--release"]);
        assert_eq!(released.status.code(), Some(12), "{}", stdout(&released));
    } else {
        assert_eq!(ended.status.code(), Some(10), "{}", stdout(&ended));
    }
    let undone = Instant::now();
    run.writers.go_on();
    println!(
        "the target killed: exit code {:?}, writes go on after {} ms",
        ended.status.code(),
        (Instant::now() - undone).as_millis()
    );
    run.is_in_sync();
}

/// Whatever goes wrong, writes go on, within two seconds.
#[test]
fn every_failure_ends_the_pause() {
    let Some(binary) = dragonfly() else { return };
    let mut run = Run::start(binary, Kind::Server);
    let code = |output: &Output| output.status.code();
    assert_eq!(code(&run.ask("cutover", &["--hook-before", "false"])), Some(10));
    run.writers.go_on();
    assert_eq!(code(&run.ask("cutover", &["--hook-after", "false"])), Some(11), "writes stay stopped");
    run.ask("cutover", &["--release"]);
    run.writers.go_on();
    run.pause_target();
    let silent = run.ask("cutover", &["--timeout", "1", "--patience", "1"]);
    assert_eq!(code(&silent), Some(10), "{}", stdout(&silent));
    run.writers.go_on();
    run.resume_target();
    run.is_in_sync();
    a_killed_target_is_not_safe(&mut run);
    succeeds(&run.ask("cutover", &[]));
    let killed = Instant::now();
    run.kill_tool();
    run.writers.go_on();
    let stopped = Instant::now() - killed;
    assert!(stopped < Duration::from_millis(2500), "{stopped:?}: a term of the pause is two seconds");
    println!("the tool killed: writes go on after {} ms", stopped.as_millis());
    run.restart_tool();
    run.is_in_sync();
    succeeds(&run.ask("cutover", &[]));
    run.nothing_is_lost("behind all of it");
    run.end();
}
