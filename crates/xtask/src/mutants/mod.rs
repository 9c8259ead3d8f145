//! Mistakes in the translation, and whether the differential campaign finds them where unit tests do not.
//!
//! A mutant is a patch in `crates/dfly-check/tests/differential/mutants`, with a line on top that says in words what is wrong.
//! Each is applied to a copy of the workspace. The unit tests of `dfly-translate` run there, and then the campaign, until it
//! has found and shrunk a difference. In the end, the campaign runs without a mutant, and must find nothing in as many sequences.

mod campaign;
mod copy;

use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use campaign::{Difference, difference, tried};
use copy::Copy;

/// Fewer commands than this are left of a sequence once it is shrunk.
const SHRUNK: usize = 6;

/// How many sequences are tried with a mutant, unless `SEEDS` says otherwise.
const SEEDS: u64 = 10_000;

const PATCHES: &str = "crates/dfly-check/tests/differential/mutants";

struct Mutant {
    name: String,
    patch: PathBuf,
    /// What is wrong.
    words: String,
}

/// What came of a mutant.
enum Fate {
    DoesNotApply(String),
    DoesNotCompile(String),
    Met { is_killed: bool, campaign: Campaign },
}

/// What the campaign printed.
struct Campaign {
    took: Duration,
    /// How many sequences it ran, if it came to its end.
    tried: Option<u64>,
    difference: Option<Difference>,
    has_passed: bool,
    output: String,
}

/// Runs the mutants with these names, or all of them. Gives whether all were found.
pub(super) fn run(names: &[String]) -> Result<bool> {
    ensure!(
        std::env::var_os("DF2REDIS_DRAGONFLY").is_some(),
        "set DF2REDIS_DRAGONFLY to the path of a Dragonfly binary"
    );
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let mutants = mutants(&root.join(PATCHES), names)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = std::path::absolute(target)?.join("mutants");
    let place = Place { copy: Copy::new(root, folder.join("tree")), built: folder.join("target") };
    let (mut passed, mut most) = (0, 0);
    for mutant in &mutants {
        let fate = place.meet(mutant)?;
        say(&format!("{}: {}\n{fate}\n", mutant.name, mutant.words))?;
        passed += usize::from(fate.is_good());
        most = most.max(fate.tried());
    }
    place.copy.renew()?;
    let without = place.campaign(most.max(1))?;
    say(&format!("without a mutant: {without}\n"))?;
    let failed = mutants.len() - passed + usize::from(!without.has_passed);
    say(&format!("{passed} passed, {failed} failed\n"))?;
    Ok(failed == 0)
}

fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

fn mutants(folder: &Path, names: &[String]) -> Result<Vec<Mutant>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let patch = entry?.path();
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&patch)?;
        let words = text.lines().next().unwrap_or_default().to_owned();
        ensure!(
            !words.starts_with("diff "),
            "{}: the first line does not say what is wrong",
            patch.display()
        );
        all.push(Mutant { name, patch, words });
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|mutant| mutant.name == **name)) {
        bail!("there is no {unknown}.patch in {}", folder.display());
    }
    all.retain(|mutant| names.is_empty() || names.contains(&mutant.name));
    Ok(all)
}

/// Where mutants are built.
struct Place {
    copy: Copy,
    /// All mutants share it, so that each costs no more than what its patch touches. The workspace has another one: cargo would
    /// take what it has built of the one for the other.
    built: PathBuf,
}

impl Place {
    fn meet(&self, mutant: &Mutant) -> Result<Fate> {
        self.copy.renew()?;
        if let Err(error) = self.copy.apply(&mutant.patch) {
            return Ok(Fate::DoesNotApply(error.to_string()));
        }
        for built in [&["-p", "dfly-translate"][..], &["-p", "dfly-check", "--test", "differential"]] {
            let output = self.cargo(&[built, &["--no-run"]].concat(), &[])?;
            if !output.status.success() {
                return Ok(Fate::DoesNotCompile(text(&output)));
            }
        }
        let is_killed = !self.cargo(&["-p", "dfly-translate"], &[])?.status.success();
        Ok(Fate::Met { is_killed, campaign: self.campaign(setting("SEEDS")?.unwrap_or(SEEDS))? })
    }

    fn campaign(&self, seeds: u64) -> Result<Campaign> {
        let args = [
            "-p",
            "dfly-check",
            "--test",
            "differential",
            "--",
            "--nocapture",
            "--exact",
            "random_sequences",
        ];
        let begun = Instant::now();
        let output = self.cargo(&args, &[("SEEDS", seeds.to_string()), ("STOP_AFTER", "1".to_owned())])?;
        let took = Instant::now().duration_since(begun);
        let has_passed = output.status.success();
        let output = text(&output);
        Ok(Campaign { took, tried: tried(&output), difference: difference(&output), has_passed, output })
    }

    fn cargo(&self, args: &[&str], settings: &[(&str, String)]) -> Result<Output> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["test", "--locked", "--quiet"]).args(args).current_dir(&self.copy.to);
        command.env("CARGO_TARGET_DIR", &self.built).envs(settings.iter().map(|(name, value)| (name, value)));
        command.output().context("cargo does not start")
    }
}

fn setting(name: &str) -> Result<Option<u64>> {
    let Some(text) = std::env::var_os(name) else { return Ok(None) };
    let number = text.to_str().and_then(|text| text.parse().ok());
    Ok(Some(number.with_context(|| format!("{name}: a number is expected"))?))
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).join("")
}

/// The last lines of what was printed.
fn end(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(20)).map(|line| format!("    {line}\n")).collect()
}

impl Fate {
    /// Whether the campaign has found the mutant, and has shown it in few commands.
    fn is_good(&self) -> bool {
        match self {
            Self::DoesNotApply(_) | Self::DoesNotCompile(_) => false,
            Self::Met { campaign, .. } => {
                !campaign.has_passed
                    && campaign.difference.as_ref().is_some_and(|found| found.commands.len() < SHRUNK)
            }
        }
    }

    fn tried(&self) -> u64 {
        match self {
            Self::DoesNotApply(_) | Self::DoesNotCompile(_) => 0,
            Self::Met { campaign, .. } => campaign.tried.unwrap_or(0),
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DoesNotApply(error) => write!(f, "  FAILED: the patch does not apply\n{}", end(error)),
            Self::DoesNotCompile(output) => write!(f, "  FAILED: it does not compile\n{}", end(output)),
            Self::Met { is_killed, campaign } => {
                let unit_tests = if *is_killed { "killed by" } else { "lives in" };
                write!(f, "  {unit_tests} the unit tests\n  {campaign}")?;
                match &campaign.difference {
                    Some(found) if found.commands.len() >= SHRUNK => {
                        write!(f, "\n  FAILED: {} commands are left", found.commands.len())
                    }
                    Some(_) => Ok(()),
                    None => f.write_str("\n  FAILED: it was not found"),
                }
            }
        }
    }
}

impl fmt::Display for Campaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs();
        match (&self.difference, self.tried) {
            (Some(Difference { seed, commands }), Some(tried)) => {
                let commands: String = commands.iter().map(|command| format!("\n    {command}")).collect();
                write!(f, "found by seed {seed}, in {tried} sequences and {seconds} s:{commands}")
            }
            (None, Some(tried)) if self.has_passed => {
                write!(f, "no difference in {tried} sequences and {seconds} s")
            }
            _ => write!(f, "the campaign broke down after {seconds} s\n{}", end(&self.output)),
        }
    }
}
