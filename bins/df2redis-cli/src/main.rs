//! The command line of df2redis.

fn main() {}
