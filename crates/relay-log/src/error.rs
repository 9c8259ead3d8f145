//! What can go wrong with a log.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::identity::Identity;
use crate::segment::Fault;

/// Why a log cannot be opened, written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LogError {
    /// The system refused something that concerns a whole file or folder.
    #[error("cannot {action} {path}: {error}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// A segment cannot be read.
    #[error("cannot read {path} at byte {offset}: {error}")]
    Read {
        /// The segment.
        path: PathBuf,
        /// Where reading was tried, in bytes from its start.
        offset: u64,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// A segment cannot be written. What was written of a frame is cut off again; frames before it are there, in the
    /// file or in the buffer, and the same call may be made again.
    #[error("cannot write {path} at byte {offset}, where it still ends: {error}")]
    Write {
        /// The segment.
        path: PathBuf,
        /// Where the file ends, in bytes.
        offset: u64,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// A sync failed, now or earlier: what of the last segment is on disk is not known, and asking the system again
    /// would not tell. Nothing is written any more until the log is opened again or cleared.
    #[error("cannot tell what of {path} is on disk, because a sync failed: {error}")]
    Sync {
        /// The segment.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// A segment holds what was not written so.
    #[error("{path} is damaged at byte {offset}: {fault}")]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where the damaged header or frame begins, in bytes.
        offset: u64,
        /// What is wrong.
        #[source]
        fault: Fault,
    },
    /// A segment belongs to another flow or another source.
    #[error("{path} belongs to {found}, not to {wanted}")]
    Foreign {
        /// The segment.
        path: PathBuf,
        /// Whose it is.
        found: Box<Identity>,
        /// Whose log was opened.
        wanted: Box<Identity>,
    },
    /// Segments are missing, or overlap.
    #[error("{path} begins at {found}, but what is before it ends at {expected}")]
    Joint {
        /// The segment.
        path: PathBuf,
        /// Where it begins.
        found: u64,
        /// Where the segment before it ends.
        expected: u64,
    },
    /// A file is called almost as a segment is.
    #[error("{path} is called like no segment of a log")]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// Another process has the log open.
    #[error("{path} is in use by another process")]
    Locked {
        /// The log's folder.
        path: PathBuf,
    },
    /// A frame to be appended does not begin where the log ends, or ends before it begins.
    #[error("a frame with positions {first} to {next} cannot be appended where {expected} is next")]
    Position {
        /// Where it begins.
        first: u64,
        /// Where it ends.
        next: u64,
        /// Where the log ends.
        expected: u64,
    },
    /// A frame to be appended is larger than any space could become.
    #[error("a frame of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// The length of its body.
        bytes: usize,
        /// The largest length that is accepted.
        limit: u64,
    },
    /// A position that the log does not hold.
    #[error("position {position} is not in the log, which holds {first} to {next}")]
    OutOfRange {
        /// What was asked for.
        position: u64,
        /// Where the log begins.
        first: u64,
        /// Where it ends.
        next: u64,
    },
}

impl LogError {
    /// Whether it is what the log holds that is of no use, rather than the disk or the caller.
    pub fn is_content(&self) -> bool {
        matches!(self, Self::Foreign { .. } | Self::Damaged { .. } | Self::Joint { .. } | Self::Name { .. })
    }

    /// Whether there is no space left for the file: on the disk, in the user's quota, or under the process' limit.
    pub fn is_no_space(&self) -> bool {
        let (Self::Io { error, .. } | Self::Write { error, .. } | Self::Sync { error, .. }) = self else {
            return false;
        };
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
    }
}
