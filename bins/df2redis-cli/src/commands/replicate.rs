//! `replicate`: copies a running Dragonfly and follows it until it is stopped.

use anyhow::Context;

use super::replication::{Start, summarise};
use crate::config::Environment;
use crate::console::Console;
use crate::exit::Failure;
use crate::flags::ReplicateFlags;

pub(crate) fn run(
    flags: &ReplicateFlags,
    environment: &Environment,
    console: &Console,
) -> Result<(), Failure> {
    let start = Start::new(flags, environment, console)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let (report, _never) = runtime.block_on(start.run(|_begun| std::future::pending::<()>()))?;
    summarise(&report);
    Ok(())
}
