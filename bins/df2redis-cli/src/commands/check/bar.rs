//! The progress of a comparison: a bar with rate and estimate on a terminal, a log line now and then elsewhere.

use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dfly_check::{Progress, Stage};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tracing::info;

use crate::console::Console;

/// Interval of the bar on a terminal.
const ON_TERMINAL: Duration = Duration::from_millis(250);

/// Interval of the log line without a terminal.
const IN_LOGS: Duration = Duration::from_secs(10);

const BAR: &str = "{prefix}: [{bar:24}] {pos}/{len} keys, {per_sec}, {eta} left{msg}";

/// Shows the progress until the comparison has ended.
pub(super) async fn show(mut progress: watch::Receiver<Progress>, console: Console) {
    let target = match console.is_terminal() {
        true => {
            ProgressDrawTarget::term_like(Box::new(Line { console: console.clone(), text: Mutex::default() }))
        }
        false => ProgressDrawTarget::hidden(),
    };
    let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(Some(0), target).with_style(style.progress_chars("##-"));
    let mut ticks = interval(if console.is_terminal() { ON_TERMINAL } else { IN_LOGS });
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut stage = Stage::Connecting;
    loop {
        tokio::select! {
            changed = progress.changed() => if changed.is_err() { break } else { continue },
            _ = ticks.tick() => {}
        }
        let now = *progress.borrow_and_update();
        if now.stage != stage {
            stage = now.stage;
            bar.reset();
        }
        draw(&bar, &now);
        if !console.is_terminal() {
            info!("{}", line(&now));
        }
    }
    bar.finish_and_clear();
    console.clear_progress();
}

fn draw(bar: &ProgressBar, now: &Progress) {
    bar.set_prefix(now.stage.to_string());
    bar.set_length(now.of.max(now.keys));
    bar.set_message(found(now));
    bar.set_position(now.keys);
}

fn line(now: &Progress) -> String {
    format!("{}: {}/{} keys{}", now.stage, now.keys, now.of.max(now.keys), found(now))
}

fn found(now: &Progress) -> String {
    let part = |count: u64, what: &str| if count > 0 { format!(", {count} {what}") } else { String::new() };
    part(now.different, "differ") + &part(now.not_compared, "not compared")
}

/// The progress line of the console, as a terminal of one line.
struct Line {
    console: Console,
    text: Mutex<String>,
}

impl Line {
    fn text(&self) -> MutexGuard<'_, String> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}

impl TermLike for Line {
    fn width(&self) -> u16 {
        120
    }

    fn move_cursor_up(&self, _lines: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _lines: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _columns: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _columns: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.text().push_str(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.text().clear();
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let text = std::mem::take(&mut *self.text());
        if !text.trim().is_empty() {
            self.console.show_progress(text.trim_end());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_log() {
        let now = Progress { stage: Stage::Comparing, keys: 7, of: 9, different: 0, not_compared: 0 };
        assert_eq!(line(&now), "comparing: 7/9 keys");
        let now = Progress { stage: Stage::Again(2), keys: 9, of: 7, different: 3, not_compared: 1 };
        assert_eq!(line(&now), "round 2: 9/9 keys, 3 differ, 1 not compared");
    }
}
