//! Progress of the reading, on a terminal.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use crate::commands::progress::size;
use crate::console::Console;

/// Interval of the progress line.
const EVERY: Duration = Duration::from_millis(100);

/// Bytes to read before the clock is read again.
const STEP: u64 = 1 << 20;

const WIDTH: u64 = 24;

/// The progress line on the console.
pub(super) struct Progress<'a> {
    console: Option<&'a Console>,
    total: u64,
    started: Instant,
    shown: Instant,
    /// The clock is read again at this number of bytes.
    next: u64,
}

impl<'a> Progress<'a> {
    /// Progress towards `total` bytes. Shows nothing if results appear on the same terminal meanwhile.
    pub(super) fn new(console: &'a Console, total: u64, output_grows: bool) -> Self {
        let show = console.is_terminal() && !(output_grows && io::stdout().is_terminal());
        let now = Instant::now();
        Self { console: show.then_some(console), total, started: now, shown: now, next: STEP }
    }

    pub(super) fn at(&mut self, done: u64) {
        let Some(console) = self.console.filter(|_| done >= self.next) else { return };
        self.next = done + STEP;
        let now = Instant::now();
        if now - self.shown >= EVERY {
            self.shown = now;
            console.show_progress(&line(done, self.total, now - self.started));
        }
    }
}

fn line(done: u64, total: u64, time: Duration) -> String {
    let share = |of: u64| {
        let part = u128::from(done.min(total)) * u128::from(of) / u128::from(total.max(1));
        u64::try_from(part).unwrap_or(of)
    };
    let full = usize::try_from(share(WIDTH)).unwrap_or_default();
    let bar = format!("{:<1$}", "#".repeat(full), usize::try_from(WIDTH).unwrap_or_default());
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = done.saturating_mul(1000) / millis;
    let left = total.saturating_sub(done).checked_div(rate).unwrap_or_default();
    format!("[{bar}] {:>3} %  {} of {}, {}/s, {left} s left", share(100), size(done), size(total), size(rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line() {
        assert_eq!(
            line(3 << 20, 12 << 20, Duration::from_secs(3)),
            "[######                  ]  25 %  3.0 MiB of 12.0 MiB, 1.0 MiB/s, 9 s left"
        );
        line(5, 0, Duration::ZERO);
    }
}
