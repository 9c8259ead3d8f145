//! Signals: the first one starts a clean shutdown, the second one ends the process at once.

use anyhow::Context;
use dfly_replica::Stop;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The exit code after a second signal: the code that shells use for an interrupt.
const ABORTED: i32 = 130;

/// Listens for SIGINT and SIGTERM. Returns the receiver that the engine watches, and a sender that stops the run without a
/// signal.
pub(crate) fn on_signals() -> anyhow::Result<(watch::Sender<Stop>, watch::Receiver<Stop>)> {
    let (stop, stopped) = watch::channel(Stop::Running);
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let sender = stop.clone();
    tokio::spawn(async move {
        let mut signals = 0;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            signals += 1;
            if signals > 1 {
                std::process::exit(ABORTED);
            }
            sender.send_replace(Stop::Drain);
        }
    });
    Ok((stop, stopped))
}
