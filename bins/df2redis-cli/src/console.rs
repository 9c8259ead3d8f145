//! Standard error: log lines and, on a terminal, one progress line below them.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::fmt::MakeWriter;

/// The progress line where it is not known how much there is.
const LINE: &str = "{wide_msg}";

/// The same where it is.
const BAR: &str = "{bar:12} {percent:>3} %  {wide_msg}";

/// Standard error, which logs and the progress line share.
#[derive(Clone)]
pub(crate) struct Console {
    terminal: bool,
    /// The progress line on the screen, if there is one.
    progress: Arc<Mutex<Option<ProgressBar>>>,
}

/// How far something has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub done: u64,
    pub of: u64,
}

impl Console {
    pub(crate) fn on_stderr() -> Self {
        Self { terminal: io::stderr().is_terminal(), progress: Arc::default() }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Replaces the progress line, cut to the width of the terminal. Does nothing without a terminal.
    pub(crate) fn show_progress(&self, line: &str) {
        self.show(line, None);
    }

    /// The same, with a bar if it is known how much there is.
    pub(crate) fn show(&self, line: &str, share: Option<Share>) {
        if !self.terminal {
            return;
        }
        let mut progress = self.lock();
        let bar = progress.get_or_insert_with(|| {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5))
        });
        let template = if share.is_some() { BAR } else { LINE };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if let Some(Share { done, of }) = share {
            bar.set_length(of);
            bar.set_position(done.min(of));
        }
        bar.set_message(line.to_owned());
        bar.tick();
    }

    /// Writes one line above the progress line.
    pub(crate) fn line(&self, line: &str) {
        self.write(&format!("{line}\n"));
    }

    fn write(&self, text: &str) {
        match &*self.lock() {
            Some(bar) => bar.suspend(|| write_all(text)),
            None => write_all(text),
        }
    }

    /// Ends the progress line, so that the next output is below it.
    pub(crate) fn end_progress(&self) {
        if let Some(bar) = self.lock().take() {
            bar.abandon();
        }
    }

    /// Removes the progress line.
    pub(crate) fn clear_progress(&self) {
        if let Some(bar) = self.lock().take() {
            bar.finish_and_clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Standard error may be closed. Then the error cannot be reported.
fn write_all(text: &str) {
    drop(io::stderr().lock().write_all(text.as_bytes()));
}

/// One log line that is being written.
pub(crate) struct LogLine<'a> {
    console: &'a Console,
    text: Vec<u8>,
}

impl Write for LogLine<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine<'_> {
    fn drop(&mut self) {
        self.console.write(&String::from_utf8_lossy(&self.text));
    }
}

impl<'a> MakeWriter<'a> for Console {
    type Writer = LogLine<'a>;

    fn make_writer(&'a self) -> LogLine<'a> {
        LogLine { console: self, text: Vec::new() }
    }
}
