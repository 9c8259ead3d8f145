//! `replicate`: copies a running Dragonfly and follows it until it is stopped.

use super::replication::{Start, summarise};
use crate::config::Environment;
use crate::console::Console;
use crate::exit::Failure;
use crate::flags::ReplicateFlags;
use crate::runtime;

pub(crate) fn run(
    flags: &ReplicateFlags,
    environment: &Environment,
    console: &Console,
) -> Result<(), Failure> {
    let start = Start::new(flags, environment, console)?;
    let runtime = runtime::of_threads()?;
    let (report, _never) = runtime.block_on(start.run(|_begun| std::future::pending::<()>()))?;
    summarise(&report);
    Ok(())
}
