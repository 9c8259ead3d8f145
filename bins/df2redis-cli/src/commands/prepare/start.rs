//! The checks of `prepare` before a run begins.

use std::time::Instant;

use dfly_prepare::{Finding, Prepare, Severity, Start, by_system};
use dfly_replica::{EngineConfig, Error};
use tracing::{info, warn};

use crate::cause;
use crate::exit::Failure;
use crate::flags::Settings;
use crate::hints;
use crate::settings::skipped_checks;

/// The checks of these settings.
pub(in crate::commands) fn checks(config: EngineConfig, settings: &Settings) -> Result<Prepare, Failure> {
    let skipped = skipped_checks(settings).map_err(Failure::Usage)?;
    Ok(Prepare { config, skipped, measures: false, advice, resolve: by_system, now: Instant::now })
}

/// Makes the checks before a first start. Where the target holds positions, they are made beside the run.
///
/// # Errors
/// [`Failure::Blocked`], with the sentence that `prepare` has.
pub(in crate::commands) async fn before_start(prepare: Prepare) -> Result<(), Failure> {
    match Box::pin(prepare.start()).await {
        Start::First => {
            let findings = Box::pin(prepare.at_start()).await;
            tell(&findings);
            blocked(findings.iter().filter(|finding| finding.severity == Severity::Blocker))
        }
        Start::Resumes => {
            tokio::spawn(async move { tell(&Box::pin(prepare.at_start()).await) });
            Ok(())
        }
        // The engine says what is the matter.
        Start::Unknown => Ok(()),
    }
}

/// Warnings go to the log; what blocks a run that goes on already is one.
fn tell(findings: &[Finding]) {
    for finding in findings {
        warn!(check = %finding.check, "{}", finding.sentence());
    }
    if !findings.is_empty() {
        info!("df2redis-cli prepare shows everything that is checked; --skip-checks NAME leaves a check out");
    }
}

pub(super) fn blocked<'a>(blockers: impl Iterator<Item = &'a Finding>) -> Result<(), Failure> {
    let blockers: Vec<&Finding> = blockers.collect();
    let Some(first) = blockers.first() else { return Ok(()) };
    let more = match blockers.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    Err(Failure::Blocked(format!("{}: {}{more}", first.check, first.sentence())))
}

/// What to do about an error of the engine: the flags that help, or what its cause calls for.
fn advice(error: &Error) -> String {
    hints::hint(error).map_or_else(|| uncapital(cause::of(error).remedy), std::borrow::Cow::into_owned)
}

/// As the end of a sentence.
fn uncapital(sentence: &str) -> String {
    let mut characters = sentence.trim_end_matches('.').chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}
