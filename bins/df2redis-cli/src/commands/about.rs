//! What the program says of itself: `version`, `completions` and `man`.

use std::io::{self, Write};

use serde::Serialize;

use crate::exit::Failure;
use crate::flags::{CompletionsFlags, VersionFlags, VersionFormat};
use crate::help;

/// What this build is, and what it was tried with.
#[derive(Debug, Serialize)]
struct Version {
    version: &'static str,
    /// The commit, if the build was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<&'static str>,
    system: String,
    protocol: Protocol,
    tried_with: &'static [Tried],
}

/// Dragonfly's replication protocol, as this build speaks it.
#[derive(Debug, Serialize)]
struct Protocol {
    /// The oldest release of Dragonfly that has it.
    dragonfly_since: &'static str,
    /// The version that the source is told (`REPLCONF CLIENT-VERSION`).
    client_version: &'static str,
}

/// Servers that tests were run with.
#[derive(Debug, Serialize)]
struct Tried {
    server: &'static str,
    releases: &'static [&'static str],
}

const TRIED: &[Tried] = &[
    Tried { server: "Dragonfly", releases: &["1.40.1"] },
    Tried { server: "Redis", releases: &["6.2", "7.0", "7.4", "8.0", "8.6"] },
    Tried { server: "Valkey", releases: &["8.1", "9.1"] },
];

fn version() -> Version {
    Version {
        version: env!("CARGO_PKG_VERSION"),
        commit: option_env!("DF2REDIS_COMMIT"),
        system: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        protocol: Protocol { dragonfly_since: "1.4", client_version: "4" },
        tried_with: TRIED,
    }
}

/// Prints the version.
pub(crate) fn show_version(flags: &VersionFlags) -> Result<(), Failure> {
    let version = version();
    let text = match flags.format {
        VersionFormat::Text => in_words(&version),
        VersionFormat::Json => {
            serde_json::to_string_pretty(&version).map_err(|error| Failure::Other(error.into()))? + "\n"
        }
    };
    print(text.as_bytes())
}

fn in_words(version: &Version) -> String {
    let commit = version.commit.map(|commit| format!(", commit {commit}")).unwrap_or_default();
    let Protocol { dragonfly_since, client_version } = &version.protocol;
    let tried =
        version.tried_with.iter().map(|tried| format!("{} {}", tried.server, tried.releases.join(", ")));
    format!(
        "df2redis-cli {} ({}{commit})\nsource: Dragonfly {dragonfly_since} or later (client version {client_version})\ntried with: {}\n",
        version.version,
        version.system,
        tried.collect::<Vec<_>>().join("; ")
    )
}

/// Prints a script that completes commands and flags.
pub(crate) fn completions(flags: &CompletionsFlags) -> Result<(), Failure> {
    let mut command = help::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(flags.shell, &mut command, name, &mut script);
    print(&script)
}

/// Prints the manual: the page of the program, and behind it that of each command.
pub(crate) fn man() -> Result<(), Failure> {
    let mut command = help::command();
    command.build();
    let mut pages = Vec::new();
    let mut page = |command: &clap::Command| clap_mangen::Man::new(command.clone()).render(&mut pages);
    let rendered = page(&command)
        .and_then(|()| command.get_subcommands().filter(|it| it.get_name() != "help").try_for_each(page));
    rendered.map_err(Failure::of_output)?;
    print(&pages)
}

fn print(bytes: &[u8]) -> Result<(), Failure> {
    io::stdout().lock().write_all(bytes).map_err(Failure::of_output)
}
