use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the snapshots that real servers wrote.
pub(crate) fn snapshots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/snapshots")
}

/// The folder of the recorded replication sessions.
pub(crate) fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dfly-testkit/captures")
}

/// The folders in a folder, sorted.
pub(crate) fn folders(root: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.is_dir());
    found.sort();
    found
}

/// The files of a snapshot, without what tells what they hold.
pub(crate) fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("snap"));
    found.sort();
    found.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A flow of a session: what stands behind `+FULL` and the 40 characters of its token.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) token: Vec<u8>,
    pub(crate) stream: Vec<u8>,
}

/// The flows of a session that start with a full synchronisation.
pub(crate) fn flows(folder: &Path) -> Vec<Flow> {
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "s2c"));
    found.sort();
    found.iter().filter_map(|path| flow(&fs::read(path).unwrap())).collect()
}

fn flow(recorded: &[u8]) -> Option<Flow> {
    // An `+OK` may precede, of the commands that set up the connection.
    let marker = b"*2\r\n+FULL\r\n+";
    let at = recorded.windows(marker.len()).position(|window| window == marker)? + marker.len();
    let token = recorded[at..at + 40].to_vec();
    Some(Flow { token, stream: recorded[at + 42..].to_vec() })
}

/// The annotated flow of the protocol description.
pub(crate) fn vector() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/vectors/full-flow-1.hex");
    let text = fs::read_to_string(path).unwrap();
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}
