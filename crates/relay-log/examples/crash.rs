//! Appends frames, loses the end of the file as in a crash, opens the log again and reads what is left.

#![expect(clippy::print_stdout, reason = "an example prints what it finds")]

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;

use relay_log::{Appended, DbIndex, Frame, Identity, Options, RelayLog, UnixMillis};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::temp_dir().join(format!("relay-log-example-{}", std::process::id()));
    let identity = Identity::new("6b1f0e7c9d4a3b2586f0d1c2e3a4b5968778695a", 0, 4)?;
    append(&dir, &identity)?;
    tear(&dir)?;
    recover(&dir, identity)?;
    Ok(fs::remove_dir_all(&dir)?)
}

/// Three frames of ten positions each.
fn append(dir: &Path, identity: &Identity) -> Result<(), Box<dyn Error>> {
    let (mut log, _) = RelayLog::open(dir, identity.clone(), Options::default())?;
    for first in [1, 11, 21] {
        let body = format!("records {first} to {}", first + 9);
        let (db, received_at) = (DbIndex(0), UnixMillis(1_700_000_000_000));
        match log.append(&Frame { first, next: first + 10, db, received_at, body })? {
            Appended::Yes => println!("appended {first}..{}", first + 10),
            Appended::Full => println!("the log is full: release positions first"),
        }
    }
    log.sync()?;
    Ok(())
}

/// Cuts off the last bytes of the only segment: a write that the machine did not finish.
fn tear(dir: &Path) -> Result<(), Box<dyn Error>> {
    let segment = dir.join("00000000000000000001.relay");
    let file = File::options().write(true).open(segment)?;
    file.set_len(file.metadata()?.len() - 5)?;
    Ok(())
}

fn recover(dir: &Path, identity: Identity) -> Result<(), Box<dyn Error>> {
    let (mut log, recovered) = RelayLog::open(dir, identity, Options::default())?;
    println!("recovered {:?}, {} torn bytes removed", recovered.positions, recovered.torn_bytes);
    while let Some(frame) = log.next_frame()? {
        println!("read {}..{}: {}", frame.first, frame.next, frame.body.escape_ascii());
        // The target has stored everything before this position.
        log.release(frame.next)?;
    }
    Ok(())
}
