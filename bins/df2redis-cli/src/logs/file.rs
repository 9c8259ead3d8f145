//! A log file that is appended to, and rotated at a size: `orders.log` is written, `orders.log.1` is the one before it (P29).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Which file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogFile {
    pub dir: PathBuf,
    /// Without `.log`.
    pub name: String,
    /// The size at which another file is begun, in bytes.
    pub max_size: u64,
    /// How many files there are at the most.
    pub keep: u16,
}

/// The open file.
#[derive(Debug)]
pub(super) struct Rotated {
    of: LogFile,
    file: File,
    size: u64,
}

impl LogFile {
    /// The file itself for 0; otherwise one before it.
    fn path(&self, nth: u16) -> PathBuf {
        let number = if nth == 0 { String::new() } else { format!(".{nth}") };
        self.dir.join(format!("{}.log{number}", self.name))
    }

    /// Only the owner may read it: it names servers and, at debug, keys.
    fn open(&self) -> io::Result<(File, u64)> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(self.path(0))?;
        let size = file.metadata()?.len();
        Ok((file, size))
    }
}

impl Rotated {
    /// Opens the file behind what it holds.
    pub(super) fn open(of: LogFile) -> Result<Self, String> {
        let named = |error: io::Error| format!("--log-dir: cannot write {}: {error}", of.path(0).display());
        fs::create_dir_all(&of.dir).map_err(named)?;
        let (file, size) = of.open().map_err(named)?;
        Ok(Self { of, file, size })
    }

    fn rotate(&mut self) -> io::Result<()> {
        for nth in (0..self.of.keep.saturating_sub(1)).rev() {
            let (from, to) = (self.of.path(nth), self.of.path(nth + 1));
            match fs::rename(from, to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.of.keep == 1 {
            fs::remove_file(self.of.path(0))?;
        }
        (self.file, self.size) = self.of.open()?;
        Ok(())
    }
}

impl Write for Rotated {
    /// Takes whole lines.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if self.size > 0 && self.size.saturating_add(length) > self.of.max_size {
            self.rotate()?;
        }
        self.file.write_all(line)?;
        self.size = self.size.saturating_add(length);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(of: &LogFile, nth: u16) -> Option<String> {
        fs::read_to_string(of.path(nth)).ok()
    }

    /// P29: the file grows behind what it held, and no further than its size; old ones go.
    #[test]
    fn appended_and_rotated() {
        let dir = tempfile::tempdir().unwrap();
        let of = LogFile { dir: dir.path().join("logs"), name: "orders".into(), max_size: 12, keep: 3 };
        Rotated::open(of.clone()).unwrap().write_all(b"line 0\n").unwrap();
        let mut file = Rotated::open(of.clone()).unwrap();
        for n in 1..=4 {
            file.write_all(format!("line {n}\n").as_bytes()).unwrap();
        }
        let text = |n: u8| Some(format!("line {n}\n"));
        assert_eq!(
            [read(&of, 0), read(&of, 1), read(&of, 2), read(&of, 3)],
            [text(4), text(3), text(2), None]
        );
        file.write_all(b"a line that is longer than a file\n").unwrap();
        assert_eq!(read(&of, 1), text(4));
        assert!(read(&of, 0).unwrap().starts_with("a line"));
    }

    #[test]
    fn a_single_file() {
        let dir = tempfile::tempdir().unwrap();
        let of = LogFile { dir: dir.path().to_owned(), name: "a".into(), max_size: 8, keep: 1 };
        let mut file = Rotated::open(of.clone()).unwrap();
        file.write_all(b"line 1\n").unwrap();
        file.write_all(b"line 2\n").unwrap();
        assert_eq!((read(&of, 0).as_deref(), read(&of, 1)), (Some("line 2\n"), None));
    }
}
