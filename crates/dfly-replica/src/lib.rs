//! The replication engine: flows in, target writes out, positions in between.
