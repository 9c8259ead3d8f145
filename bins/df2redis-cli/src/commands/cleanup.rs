//! `cleanup`: removes the keys that replications have left beside the data.

use std::io::Write;

use dfly_replica::{Cleanup, Found, Owned};
use redis_resp::connection::Peer;

use crate::address::{self, Access};
use crate::exit::Failure;
use crate::flags::CleanupFlags;
use crate::runtime;
use crate::settings::{target_addresses, target_mode, task_name};

pub(crate) fn run(flags: &CleanupFlags) -> Result<(), Failure> {
    let access = Access {
        tls: flags.tls.settings(),
        password: flags.target_password_file.clone(),
        sentinel_password: flags.sentinel_password_file.clone(),
    };
    let mut targets =
        address::parse_all(Peer::Target, &flags.target, &access).map_err(Failure::Usage)?.into_iter();
    let target = targets.next().ok_or_else(|| Failure::Usage("the target is missing".to_owned()))?;
    let target_mode = target_mode(flags.target_mode.as_deref().unwrap_or("auto")).map_err(Failure::Usage)?;
    let task = task_name(flags.task_name.as_deref()).map_err(Failure::Usage)?;
    let target_addresses =
        target_addresses(&flags.target_address_map, target_mode).map_err(Failure::Usage)?;
    let (removes, force) = (!flags.dry_run, flags.force);
    let cleanup = Cleanup {
        target,
        other_targets: targets.collect(),
        target_mode,
        target_addresses,
        task,
        removes,
        force,
    };
    let runtime = runtime::of_threads()?;
    let found = runtime.block_on(cleanup.run())?;
    std::io::stdout().write_all(text(&found, flags.dry_run).as_bytes()).map_err(Failure::of_output)
}

fn text(found: &Found, is_dry: bool) -> String {
    let done = if is_dry { "would be removed" } else { "removed" };
    if found.is_empty() {
        return "the target holds no keys of df2redis\n".to_owned();
    }
    let line = |(owned, count): (&Owned, &u64)| format!("{count:>8}  {}\n", what(*owned));
    let lines: String = found.iter().map(line).collect();
    let total: u64 = found.values().sum();
    format!("{lines}{total:>8}  {done} in total\n")
}

fn what(owned: Owned) -> &'static str {
    match owned {
        Owned::Positions => "positions",
        Owned::SlotPositions => "positions of slots (cluster)",
        Owned::MemberExpiries => {
            "expiries of members and fields (nothing removes these members and fields after the cleanup)"
        }
        Owned::Refetch => "lists of keys to refetch",
        Owned::LeftOut => "lists of keys that were left out",
        Owned::Protected => "lists of protected keys",
        Owned::Expiries => "stored TTL indexes",
        Owned::Written => "digests of keys that an unfinished synchronisation has written",
        Owned::Growing => "incomplete values",
        Owned::Other => "other keys with the prefix df2redis:",
    }
}
