//! Scripted sources.
