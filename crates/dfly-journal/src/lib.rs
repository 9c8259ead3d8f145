//! Incremental decoder of Dragonfly's replication journal.
