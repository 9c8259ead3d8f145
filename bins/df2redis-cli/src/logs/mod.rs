//! Log lines: on standard error for people or for machines, and in files that are rotated.

mod file;
pub(crate) mod flags;
mod human;

use std::path::PathBuf;
use std::sync::Mutex;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::console::Console;
use crate::settings::{one_of, size};
use file::{LogFile, Rotated};
use flags::LogFlags;
use human::Human;

/// Where the state of a run comes from, once an interval. A terminal shows it in a line of its own.
pub(crate) const PROGRESS: &str = "df2redis::progress";

/// Size at which another log file is begun, in bytes.
const FILE_SIZE: u64 = 50 << 20;

/// How many log files are kept.
const FILES: u16 = 5;

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

/// What the flags stand for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LogSettings {
    format: Format,
    pub level: LevelFilter,
    file: Option<LogFile>,
    has_emoji: bool,
}

impl LogSettings {
    /// The settings, for a task of this name.
    pub(crate) fn new(flags: &LogFlags, task: Option<&str>) -> Result<Self, String> {
        let format = flags.log_format.as_deref().unwrap_or("text");
        let format = one_of("--log-format", format, &[("text", Format::Text), ("json", Format::Json)])?;
        Ok(Self {
            format,
            level: level(flags.log_level.as_deref().unwrap_or("info"))?,
            file: flags.log_dir.clone().map(|dir| file(dir, flags, task)).transpose()?,
            has_emoji: !flags.no_emoji,
        })
    }

    /// Without emoji and colours, as the variable NO_COLOR asks for.
    pub(crate) fn plain_if(self, is_plain: bool) -> Self {
        Self { has_emoji: self.has_emoji && !is_plain, ..self }
    }
}

fn file(dir: PathBuf, flags: &LogFlags, task: Option<&str>) -> Result<LogFile, String> {
    let name = flags.log_name.as_deref().or(task).filter(|name| !name.is_empty()).unwrap_or("df2redis");
    if name.contains('/') {
        return Err(format!("--log-name: \"{name}\" is not the name of a file; --log-dir names the folder"));
    }
    let max_size = flags.log_max_size.as_deref().map(|text| size("--log-max-size", text)).transpose()?;
    let keep = flags.log_files.unwrap_or(FILES);
    if keep == 0 {
        return Err("--log-files: the minimum is 1, the file that is written".to_owned());
    }
    Ok(LogFile { dir, name: name.to_owned(), max_size: max_size.unwrap_or(FILE_SIZE), keep })
}

/// Parses the value of `--log-level`.
pub(crate) fn level(text: &str) -> Result<LevelFilter, String> {
    one_of(
        "--log-level",
        text,
        &[
            ("error", LevelFilter::ERROR),
            ("warn", LevelFilter::WARN),
            ("info", LevelFilter::INFO),
            ("debug", LevelFilter::DEBUG),
            ("trace", LevelFilter::TRACE),
        ],
    )
}

/// Changes the level while the program runs.
#[derive(Clone)]
pub(crate) struct LevelHandle(reload::Handle<LevelFilter, Registry>);

impl LevelHandle {
    pub(crate) fn set(&self, level: LevelFilter) {
        // It fails only once the program ends.
        drop(self.0.reload(level));
    }
}

/// Sends all log lines where the settings say.
pub(crate) fn install(settings: &LogSettings, console: &Console) -> Result<LevelHandle, String> {
    let (level, handle) = reload::Layer::new(settings.level);
    let file = settings.file.clone().map(Rotated::open).transpose()?;
    let to_file = file.map(|file| lines(settings.format, Mutex::new(file)));
    let on_console = match settings.format {
        Format::Json => lines(Format::Json, console.clone()),
        Format::Text if console.is_terminal() && settings.has_emoji => {
            fmt::layer().event_format(Human).with_writer(console.clone()).boxed()
        }
        Format::Text => lines(Format::Text, console.clone()),
    };
    let is_terminal = console.is_terminal();
    let is_shown = filter_fn(move |line| !(is_terminal && line.target() == PROGRESS));
    let on_console = on_console.with_filter(is_shown);
    tracing_subscriber::registry().with(level).with(on_console).with(to_file).init();
    Ok(LevelHandle(handle))
}

fn lines<S, W>(format: Format, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer).with_target(false).with_ansi(false);
    match format {
        Format::Text => layer.boxed(),
        Format::Json => layer.json().boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_what_is_wrong_with_them() {
        let some = |text: &str| Some(text.to_owned());
        let flags = LogFlags { log_dir: Some("/l".into()), ..LogFlags::default() };
        let settings = LogSettings::new(&flags, Some("orders")).unwrap();
        assert_eq!(
            (settings.format, settings.level, settings.has_emoji),
            (Format::Text, LevelFilter::INFO, true)
        );
        let file = LogFile { dir: "/l".into(), name: "orders".into(), max_size: 50 << 20, keep: 5 };
        assert_eq!(settings.file, Some(file));
        assert!(!settings.plain_if(true).has_emoji);
        for (flags, flag) in [
            (LogFlags { log_format: some("xml"), ..flags.clone() }, "--log-format"),
            (LogFlags { log_level: some("loud"), ..flags.clone() }, "--log-level"),
            (LogFlags { log_name: some("a/b"), ..flags.clone() }, "--log-name"),
            (LogFlags { log_max_size: some("big"), ..flags.clone() }, "--log-max-size"),
            (LogFlags { log_files: Some(0), ..flags }, "--log-files"),
        ] {
            let error = LogSettings::new(&flags, None).unwrap_err();
            assert!(error.starts_with(flag), "{error}");
        }
    }
}
