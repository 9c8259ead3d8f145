//! The threads that a command runs on.

use std::thread::available_parallelism;

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};

use crate::exit::Failure;

/// For what moves data.
///
/// Half of the processors have a thread of it: source and target are often on the same machine, and with as many threads as
/// processors these wake each other more than they share work. The command's own thread comes on top.
///
/// # Errors
/// The system starts no thread.
pub(crate) fn of_threads() -> Result<Runtime, Failure> {
    let processors = available_parallelism().map_or(1, usize::from);
    let runtime = Builder::new_multi_thread().worker_threads(processors.div_ceil(2)).enable_all().build();
    Ok(runtime.context("cannot start the runtime")?)
}

/// For what asks the run of another process: it has no threads of its own.
///
/// # Errors
/// The system refuses what a runtime needs.
pub(crate) fn of_one_thread() -> Result<Runtime, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build();
    Ok(runtime.context("cannot start the runtime")?)
}
