//! Push decoder for Dragonfly snapshots and Redis RDB: streams, files and DUMP payloads.
