//! What the help shows of the flags of `replicate`: under which heading, and which of them at first. The headings are tables of
//! the configuration file too.

use clap::{Command, CommandFactory};

use crate::cli::Cli;
use crate::exit;

/// Some flags, by what they are about.
#[derive(Debug)]
pub(crate) struct Heading {
    /// In the help.
    pub title: &'static str,
    /// The table of the configuration file.
    pub table: &'static str,
    flags: &'static [&'static str],
}

/// Flags of other files are under the heading that they name themselves.
pub(crate) const HEADINGS: &[Heading] = &[
    Heading {
        title: "Servers",
        table: "servers",
        flags: &[
            "source",
            "target",
            "source-password-file",
            "target-password-file",
            "sentinel-password-file",
            "target-mode",
            "target-address-map",
            "config",
        ],
    },
    Heading {
        title: "TLS",
        table: "tls",
        flags: &[
            "source-tls-ca",
            "source-tls-cert",
            "source-tls-key",
            "source-tls-server-name",
            "source-tls-insecure",
            "target-tls-ca",
            "target-tls-cert",
            "target-tls-key",
            "target-tls-server-name",
            "target-tls-insecure",
        ],
    },
    Heading {
        title: "Start and resume",
        table: "start",
        flags: &[
            "on-start",
            "force-resync",
            "max-removals",
            "on-conflict",
            "on-new-source",
            "new-source-share",
            "task-name",
            "skip-checks",
        ],
    },
    Heading {
        title: "What is copied",
        table: "copy",
        flags: &[
            "on-unsupported",
            "quirks",
            "map-db",
            "allow-keys",
            "block-keys",
            "allow-types",
            "block-types",
            "allow-commands",
            "block-commands",
            "command-alias",
            "rename-keys",
        ],
    },
    Heading {
        title: "State on disk",
        table: "state",
        flags: &["state-dir", "relay-max-bytes", "on-relay-full", "checkpoint-interval", "state-interval"],
    },
    Heading {
        title: "Limits",
        table: "limits",
        flags: &[
            "memory-limit",
            "snapshot-bytes-per-second",
            "target-ops-per-second",
            "give-up-after",
            "wait-replicas",
            "on-eviction",
        ],
    },
    Heading {
        title: "Talking to a run",
        table: "control",
        flags: &[
            "control",
            "control-addr",
            "dashboard-addr",
            "ready-lag",
            "control-token-file",
            "verify-continuously",
        ],
    },
    Heading {
        title: "Logs",
        table: "log",
        flags: &["log-level", "log-format", "log-dir", "log-name", "log-max-size", "log-files", "no-emoji"],
    },
];

/// What a command is for whose flags are those of `replicate`: its short help shows some of them, and its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It asks a run.
    Ask,
    /// It reads both sides.
    Compare,
    /// It copies once.
    Migrate,
    /// It copies, and goes on.
    Replicate,
}

use Use::{Ask, Compare, Migrate, Replicate};

/// A flag in few words, and where the short help shows it. `--help` shows everything.
#[derive(Debug)]
struct First {
    name: &'static str,
    words: &'static str,
    shown: &'static [Use],
}

const fn first(name: &'static str, words: &'static str, shown: &'static [Use]) -> First {
    First { name, words, shown }
}

const BOTH_SIDES: &[Use] = &[Compare, Migrate, Replicate];
const COPYING: &[Use] = &[Migrate, Replicate];

const FIRST: &[First] = &[
    first("source", "dragonfly://[user:password@]host[:port]; dragonflys:// for TLS", BOTH_SIDES),
    first("target", "redis://[user:password@]host[:port]; rediss:// for TLS", BOTH_SIDES),
    first("source-password-file", "File with the password of the source", BOTH_SIDES),
    first("target-password-file", "File with the password of the target", BOTH_SIDES),
    first("config", "Configuration file with the same settings", &[Ask, Compare, Migrate, Replicate]),
    first("on-start", "A target that holds keys: require-empty, merge, mirror or flush", COPYING),
    first("on-unsupported", "What the target cannot hold: fail, warn or skip", COPYING),
    first(
        "state-dir",
        "Directory for state and for what the target has not taken yet",
        &[Ask, Compare, Replicate],
    ),
    first("memory-limit", "Maximum memory for data in transit [default: 256MiB]", &[Replicate]),
    first("control", "Socket or address of the run [default: control.sock in the state directory]", &[Ask]),
    first("control-token-file", "File with the token of an address", &[Ask]),
    first(
        "log-level",
        "error, warn, info, debug or trace [default: info]",
        &[Ask, Compare, Migrate, Replicate],
    ),
];

/// The commands whose flags are those of `replicate`.
const WITH_SETTINGS: [(&str, Use); 8] = [
    ("prepare", Replicate),
    ("replicate", Replicate),
    ("migrate", Migrate),
    ("check", Compare),
    ("cutover", Ask),
    ("dashboard", Ask),
    ("status", Ask),
    ("config", Replicate),
];

const SHORT: &str = "df2redis-cli replicate --help shows all flags, and examples.";

const EXAMPLES: &str = "\
Examples:
  df2redis-cli replicate --source dragonfly://db:6379 --target redis://new:6379 --state-dir state
  df2redis-cli replicate --source dragonflys://db --target rediss://node1,node2 --config df2redis.toml
  DF2REDIS_TARGET_PASSWORD_FILE=/run/secrets/redis df2redis-cli replicate --config df2redis.toml

Each flag is also a key of the configuration file and a variable: --state-dir is state-dir, or dir in the table
[state], and DF2REDIS_STATE_DIR. A flag goes before a variable, a variable before the file, the file before the
default. ${NAME} in an address is the value of that variable. df2redis-cli config print --origin shows what is in effect.
docs/configuration.md has the rest.";

/// The command line, with its help in order.
pub(crate) fn command() -> Command {
    let with_settings = |command: Command| {
        let name = command.get_name().to_owned();
        let Some((_, shown)) = WITH_SETTINGS.iter().find(|(with, _)| *with == name) else { return command };
        let arranged = |command| arranged(command, Some(*shown));
        match name.as_str() {
            "config" => command.mut_subcommand("print", arranged).mut_subcommand("check", arranged),
            "replicate" => arranged(command).after_help(SHORT).after_long_help(EXAMPLES),
            _ => arranged(command),
        }
    };
    arranged(Cli::command(), None).mut_subcommands(with_settings).after_help("df2redis-cli COMMAND --help shows all flags of a command; df2redis-cli --help shows the exit codes.")
        .after_long_help(exit::codes_in_words())
}

/// With each flag under its heading, and in the short help those of `shown`.
fn arranged(command: Command, shown: Option<Use>) -> Command {
    command.mut_args(|flag| {
        let name = flag.get_long().unwrap_or_default().to_owned();
        let first = FIRST.iter().find(|first| first.name == name);
        let flag = match (first, flag.get_help().cloned()) {
            (Some(first), long) => {
                let long = flag.get_long_help().cloned().or(long);
                let flag = flag.help(first.words);
                match long {
                    Some(long) => flag.long_help(long),
                    None => flag,
                }
            }
            (None, _) => flag,
        };
        match heading_of(&name) {
            Some(heading) => flag.help_heading(heading.title).hide_short_help(!is_shown(first, shown)),
            None => flag,
        }
    })
}

/// What every command has is shown by each.
fn is_shown(first: Option<&First>, by: Option<Use>) -> bool {
    first.is_some_and(|first| by.map_or(first.name == "log-level", |by| first.shown.contains(&by)))
}

fn heading_of(flag: &str) -> Option<&'static Heading> {
    HEADINGS.iter().find(|heading| heading.flags.contains(&flag))
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;
    use crate::screens;

    /// The help of a command and of those below it.
    fn helps(command: &mut Command, name: &str, is_long: bool, out: &mut Vec<(String, String)>) {
        let help = if is_long { command.render_long_help() } else { command.render_help() };
        out.push((name.to_owned(), help.to_string()));
        for below in command.get_subcommands_mut().filter(|below| below.get_name() != "help") {
            let name = format!("{name} {}", below.get_name());
            helps(below, &name, is_long, out);
        }
    }

    fn all_helps(columns: usize, is_long: bool) -> Vec<(String, String)> {
        let mut command = command().term_width(columns);
        command.build();
        let mut out = Vec::new();
        helps(&mut command, "df2redis-cli", is_long, &mut out);
        out
    }

    fn as_screen(helps: &[(String, String)]) -> String {
        helps.iter().fold(String::new(), |all, (name, help)| {
            let lines: String = help.lines().map(|line| format!("{}\n", line.trim_end())).collect();
            format!("{all}$ {name}\n\n{lines}\n")
        })
    }

    /// The short help of each command is on one screen, and its lines are not broken.
    #[test]
    fn the_short_help_fits_a_screen() {
        for columns in [80, 120] {
            let helps = all_helps(columns, false);
            for (name, help) in &helps {
                assert!(name.contains("inspect") || help.lines().count() <= 57, "{help}");
                assert!(help.lines().all(|line| line.chars().count() <= columns), "{help}");
            }
            screens::check(&format!("help-{columns}.txt"), &as_screen(&helps));
        }
    }

    #[test]
    fn the_long_help_shows_everything() {
        screens::check("long-help.txt", &as_screen(&all_helps(100, true)));
    }

    /// Every flag that is under a heading is there.
    #[test]
    fn headings_name_flags_that_there_are() {
        let mut command = command();
        command.build();
        let replicate = command.find_subcommand("replicate").unwrap();
        let flags: Vec<&str> = replicate.get_arguments().filter_map(Arg::get_long).collect();
        for heading in HEADINGS {
            for name in heading.flags {
                assert!(flags.contains(name), "--{name} is under {} and is no flag", heading.title);
            }
        }
        for First { name, .. } in FIRST {
            assert!(flags.contains(name), "--{name} is shown first and is no flag");
        }
    }
}
