//! Standard error: log lines and, on a terminal, one progress line below them.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::termios::tcgetwinsize;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::cli::{LogFormat, LogLevel};

/// Erases the line of the cursor.
const ERASE: &str = "\r\x1b[2K";

/// Standard error, which logs and the progress line share.
#[derive(Clone)]
pub(crate) struct Console {
    terminal: bool,
    /// The progress line on the screen; empty if there is none.
    progress: Arc<Mutex<String>>,
}

impl Console {
    pub(crate) fn on_stderr() -> Self {
        Self { terminal: io::stderr().is_terminal(), progress: Arc::default() }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Sends all log lines to this console.
    pub(crate) fn install_logs(&self, format: LogFormat, level: LogLevel) {
        let level = match level {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Trace => LevelFilter::TRACE,
        };
        let logs =
            tracing_subscriber::fmt().with_max_level(level).with_writer(self.clone()).with_target(false);
        match format {
            LogFormat::Text => logs.with_ansi(self.terminal).init(),
            LogFormat::Json => logs.json().init(),
        }
    }

    /// Replaces the progress line, cut to the width of the terminal. Does nothing without a terminal.
    pub(crate) fn show_progress(&self, line: &str) {
        if self.terminal {
            let columns = tcgetwinsize(io::stderr()).map_or(80, |size| usize::from(size.ws_col.max(20)));
            let line: String = line.chars().take(columns - 1).collect();
            let mut progress = self.lock();
            line.clone_into(&mut progress);
            write_all(&format!("{ERASE}{line}"));
        }
    }

    /// Writes one line above the progress line.
    pub(crate) fn line(&self, line: &str) {
        self.write(&format!("{line}\n"));
    }

    fn write(&self, text: &str) {
        let progress = self.lock();
        if progress.is_empty() {
            write_all(text);
        } else {
            write_all(&format!("{ERASE}{text}{progress}"));
        }
    }

    /// Ends the progress line, so that the next output is below it.
    pub(crate) fn end_progress(&self) {
        let mut progress = self.lock();
        if !progress.is_empty() {
            progress.clear();
            write_all("\n");
        }
    }

    /// Removes the progress line.
    pub(crate) fn clear_progress(&self) {
        let mut progress = self.lock();
        if !progress.is_empty() {
            progress.clear();
            write_all(ERASE);
        }
    }

    fn lock(&self) -> MutexGuard<'_, String> {
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
