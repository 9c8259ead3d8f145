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
        ],
    },
    Heading {
        title: "What is copied",
        table: "copy",
        flags: &[
            "on-unsupported",
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
        flags: &["control", "control-addr", "control-token-file", "verify-continuously"],
    },
    Heading {
        title: "Logs",
        table: "log",
        flags: &["log-level", "log-format", "log-dir", "log-name", "log-max-size", "log-files", "no-emoji"],
    },
];

/// What `replicate -h` shows, in few words each. `--help` shows everything.
const FIRST: &[(&str, &str)] = &[
    ("source", "dragonfly://[user:password@]host[:port]; dragonflys:// for TLS"),
    ("target", "redis://[user:password@]host[:port]; rediss:// for TLS"),
    ("source-password-file", "File with the password of the source"),
    ("target-password-file", "File with the password of the target"),
    ("config", "Configuration file with the same settings"),
    ("on-start", "A target that holds keys: require-empty, merge, mirror or flush"),
    ("on-unsupported", "What the target cannot hold: fail, warn or skip"),
    ("state-dir", "Directory for state and for what the target has not taken yet"),
    ("memory-limit", "Maximum memory for data in transit [default: 256MiB]"),
    ("log-level", "error, warn, info, debug or trace [default: info]"),
];

/// The commands whose flags are those of `replicate`.
const WITH_SETTINGS: [&str; 6] = ["replicate", "migrate", "check", "cutover", "status", "config"];

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
        match WITH_SETTINGS.contains(&name.as_str()) {
            true if name == "config" => {
                command.mut_subcommand("print", arranged).mut_subcommand("check", arranged)
            }
            true if name == "replicate" => arranged(command).after_help(SHORT).after_long_help(EXAMPLES),
            true => arranged(command),
            false => command,
        }
    };
    arranged(Cli::command()).mut_subcommands(with_settings).after_help(exit::codes_in_words())
}

/// With each flag under its heading, and few of them in the short help.
fn arranged(command: Command) -> Command {
    command.mut_args(|flag| {
        let name = flag.get_long().unwrap_or_default().to_owned();
        let first = FIRST.iter().find(|(first, _)| *first == name);
        let flag = match (first, flag.get_help().cloned()) {
            (Some((_, short)), long) => {
                let long = flag.get_long_help().cloned().or(long);
                let flag = flag.help(*short);
                match long {
                    Some(long) => flag.long_help(long),
                    None => flag,
                }
            }
            (None, _) => flag,
        };
        match heading_of(&name) {
            Some(heading) => flag.help_heading(heading.title).hide_short_help(first.is_none()),
            None => flag,
        }
    })
}

fn heading_of(flag: &str) -> Option<&'static Heading> {
    HEADINGS.iter().find(|heading| heading.flags.contains(&flag))
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    fn short_help(columns: usize) -> String {
        let mut command = command().term_width(columns);
        command.build();
        command.find_subcommand_mut("replicate").unwrap().render_help().to_string()
    }

    /// The short help is on one screen, and its lines are not broken.
    #[test]
    fn the_short_help_fits_a_screen() {
        for columns in [80, 120] {
            let help = short_help(columns);
            assert!(help.lines().count() <= 40, "{help}");
            assert!(help.lines().all(|line| line.chars().count() <= columns), "{help}");
        }
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
        for (name, _) in FIRST {
            assert!(flags.contains(name), "--{name} is shown first and is no flag");
        }
    }
}
