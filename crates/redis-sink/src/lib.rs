//! Bounded, pipelined writing to a Redis target, every reply paired with its command.
