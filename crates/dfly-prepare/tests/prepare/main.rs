//! Checks of real pairs.
