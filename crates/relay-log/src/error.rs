//! Errors of a log.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::damage::Fault;
use crate::identity::Identity;

/// Why a log cannot be opened, written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LogError {
    /// An operation on a file or folder failed.
    #[error("cannot {action} {path}: {error}")]
    Io {
        /// The operation.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        #[source]
        error: io::Error,
    },
    /// A segment cannot be read.
    #[error("cannot read {path} at byte {offset}: {error}")]
    Read {
        /// The segment.
        path: PathBuf,
        /// Offset of the read, in bytes.
        offset: u64,
        /// The error of the system.
        #[source]
        error: io::Error,
    },
    /// A segment cannot be written. A partly written frame is removed again. Earlier frames are kept, in the file or in the
    /// buffer, and the call may be repeated.
    #[error("cannot write {path} at byte {offset}, where it still ends: {error}")]
    Write {
        /// The segment.
        path: PathBuf,
        /// Length of the file, in bytes.
        offset: u64,
        /// The error of the system.
        #[source]
        error: io::Error,
    },
    /// A sync failed, now or earlier. It is unknown which part of the last segment is on disk, and another sync would not
    /// report it. The log accepts no writes until it is opened again or cleared.
    #[error("cannot tell what of {path} is on disk, because a sync failed: {error}")]
    Sync {
        /// The segment.
        path: PathBuf,
        /// The error of the system.
        #[source]
        error: io::Error,
    },
    /// A segment is damaged.
    #[error("{path} is damaged at byte {offset}: {fault}")]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Offset of the damaged header or frame, in bytes.
        offset: u64,
        /// The damage.
        #[source]
        fault: Fault,
    },
    /// A segment belongs to another flow or another source.
    #[error("{path} belongs to {found}, not to {wanted}")]
    Foreign {
        /// The segment.
        path: PathBuf,
        /// The owner of the segment.
        found: Box<Identity>,
        /// The owner of the opened log.
        wanted: Box<Identity>,
    },
    /// Segments are missing, or overlap.
    #[error("{path} begins at {found}, but what is before it ends at {expected}")]
    Joint {
        /// The segment.
        path: PathBuf,
        /// The first position of the segment.
        found: u64,
        /// The position after the previous segment.
        expected: u64,
    },
    /// A file has the suffix of a segment and is not named like one.
    #[error("{path} is not named like a segment of a log")]
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
    /// A frame to append does not begin where the log ends, or ends before it begins.
    #[error("a frame with positions {first} to {next} cannot be appended where {expected} is next")]
    Position {
        /// The first position of the frame.
        first: u64,
        /// The position after the frame.
        next: u64,
        /// The position after the log.
        expected: u64,
    },
    /// A frame to append is larger than the log allows.
    #[error("a frame of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// The length of its body.
        bytes: usize,
        /// The largest length that is accepted.
        limit: u64,
    },
    /// The log does not hold the position.
    #[error("position {position} is not in the log, which holds {first} to {next}")]
    OutOfRange {
        /// The requested position.
        position: u64,
        /// The first position of the log.
        first: u64,
        /// The position after the log.
        next: u64,
    },
}

impl LogError {
    /// Whether the content of the log is unusable, as opposed to an error of the disk or the caller.
    pub fn is_content(&self) -> bool {
        matches!(self, Self::Foreign { .. } | Self::Damaged { .. } | Self::Joint { .. } | Self::Name { .. })
    }

    /// Whether there is no space left: on the disk, in the quota of the user, or within the file size limit of the process.
    pub fn is_no_space(&self) -> bool {
        let (Self::Io { error, .. } | Self::Write { error, .. } | Self::Sync { error, .. }) = self else {
            return false;
        };
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
    }
}
