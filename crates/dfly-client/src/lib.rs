//! Dragonfly's replication handshake: a state machine without I/O, and a tokio driver.
