//! Snapshot entries and journal records of Dragonfly into commands for a Redis target.
