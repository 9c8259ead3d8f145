//! `dashboard`: the page of a run in another process.

use std::path::Path;

use clap::Args;
use replica_api::client::Client;
use replica_api::server::forward;
use replica_page::Source;

use crate::config::{self, Environment};
use crate::control::{self, addresses, page};
use crate::exit::Failure;
use crate::flags::{ReplicateFlags, Settings};
use crate::runtime;
use crate::stop;

const NAMES_NO_RUN: &str = "name the run: --state-dir as it was given to replicate, or --control";

/// Flags of `dashboard`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DashboardFlags {
    #[command(flatten)]
    pub run: ReplicateFlags,
}

pub(crate) fn run(flags: &DashboardFlags, environment: &Environment) -> Result<(), Failure> {
    let resolved = config::resolve(&flags.run, environment).map_err(Failure::Usage)?;
    let settings = &resolved.settings;
    let client = client(settings)?;
    let page = page::Page {
        api: forward(client.again()),
        metrics: axum::Router::new(),
        source: Source::of_client(client, settings.state_dir.clone()),
        token: control::token(settings)?,
    };
    let runtime = runtime::of_one_thread()?;
    runtime.block_on(async {
        let (_stop, mut stopped) = stop::on_signals()?;
        let _page = page.begin(&addresses::of_dashboard(&settings.control))?;
        // Until a signal arrives.
        drop(stopped.changed().await);
        Ok(())
    })
}

/// Of the run that the settings lead to, which may begin later.
fn client(settings: &Settings) -> Result<Client, Failure> {
    match (settings.control.control.as_deref(), settings.state_dir.as_deref()) {
        (Some(path), _) if !path.contains("://") => Ok(Client::later_socket(Path::new(path))),
        (None, Some(dir)) => Ok(Client::later_socket(&control::in_state_dir(dir))),
        _ => control::find(settings)?.ok_or_else(|| Failure::Usage(NAMES_NO_RUN.to_owned())),
    }
}
