//! How many instructions the hot paths need, beside a baseline of the same compiler and processor.
//!
//! The bench `instructions` counts; its runner leaves a summary of each count. The baseline stands beside the bench. It holds one
//! list for each compiler and processor, because numbers of others say nothing: another compiler writes other instructions, and
//! another processor has other paths for checksums and copies.

mod baseline;
mod comparison;
mod summary;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use baseline::{Baseline, Machine};
use comparison::Comparison;

const BASELINE: &str = "benches/instructions/baseline.json";

/// Instructions by bench.
type Counts = BTreeMap<String, u64>;

/// Counts, and compares; with `saves`, the counts become the baseline of this machine. Gives whether nothing has risen too much.
pub(super) fn run(saves: bool) -> Result<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let file = root.join(BASELINE);
    let mut baseline = Baseline::read(&fs::read_to_string(&file).context(BASELINE)?)?;
    let machine = Machine::new(&compiler()?, &fs::read_to_string("/proc/cpuinfo")?)?;
    let now = count(&root)?;
    let before = baseline.counts(&machine).cloned();
    let comparison = Comparison::new(before.as_ref().unwrap_or(&Counts::new()), &now);
    say(&format!("{machine}\n\n{comparison}\n"))?;
    if saves {
        baseline.set(machine, now);
        fs::write(&file, baseline.text()?)?;
        say(&format!("{BASELINE} now holds these numbers.\n"))?;
        return Ok(true);
    }
    ensure!(
        before.is_some(),
        "{BASELINE} has no numbers of this compiler and processor, so nothing was compared. Go back to the commit to compare \
         with, write its numbers with `make bench-instructions SAVE=1`, come back with that file, and try again."
    );
    say(&comparison.verdict())?;
    Ok(comparison.is_good())
}

/// Runs the bench. Every count is a new one: its folder is emptied before.
fn count(root: &Path) -> Result<Counts> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = std::path::absolute(target)?.join("instructions");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).args(["bench", "--locked", "--package", "df2redis-benches"]);
    command.args(["--features", "instructions", "--bench", "instructions", "--"]);
    let output = command.arg("--save-summary=json").arg("--home").arg(&folder).output()?;
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    ensure!(output.status.success(), "the bench has failed:\n{}", said.concat());
    let counts = summary::counts(&folder)?;
    ensure!(!counts.is_empty(), "the bench has left no summary in {}:\n{}", folder.display(), said.concat());
    Ok(counts)
}

/// The first line of `rustc --version`.
fn compiler() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().context("rustc cannot be run")?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
