//! Programs that a test puts into a folder and runs.
//!
//! A file that a process has open for writing cannot be run (`ETXTBSY`), and a program that another thread starts holds all open
//! files for a moment. So another process writes the file.

use std::io;
use std::path::Path;
use std::process::Command;

/// Copies a program; everybody may run it.
///
/// # Errors
/// [`io::Error`]; also if `install` fails, which says why.
pub fn install_program(from: &Path, to: &Path) -> io::Result<()> {
    let output = Command::new("install").args(["-m", "755", "--"]).arg(from).arg(to).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}

/// Writes a shell script that everybody may run.
///
/// # Errors
/// As [`install_program`].
pub fn install_script(path: &Path, lines: &str) -> io::Result<()> {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, format!("#!/bin/sh\n{lines}"))?;
    install_program(&draft, path)?;
    std::fs::remove_file(&draft)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// While other threads start programs all the time.
    #[test]
    fn what_is_installed_can_be_run() {
        let folder = tempfile::tempdir().unwrap();
        thread::scope(|scope| {
            for nth in 0..4 {
                let path = folder.path().join(format!("program{nth}"));
                scope.spawn(move || {
                    for _ in 0..25 {
                        install_script(&path, "exit 7\n").unwrap();
                        assert_eq!(Command::new(&path).status().unwrap().code(), Some(7));
                    }
                });
            }
        });
        assert!(install_program(&folder.path().join("none"), &folder.path().join("to")).is_err());
    }
}
