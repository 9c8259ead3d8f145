//! The numbers to compare with.

use std::fmt;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Counts;

/// Numbers of several machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Baseline(Vec<Numbers>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Numbers {
    #[serde(flatten)]
    machine: Machine,
    instructions: Counts,
}

/// What the numbers depend on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Machine {
    compiler: String,
    processor: String,
}

impl Machine {
    /// From the version of the compiler, and `/proc/cpuinfo`. Names of processors in virtual machines say little, so their
    /// numbers are part of it.
    pub(super) fn new(compiler: &str, cpuinfo: &str) -> Result<Self> {
        let field = |name: &str| {
            let value =
                cpuinfo.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name);
            value.map(|(_, value)| value.trim()).with_context(|| format!("no {name} in /proc/cpuinfo"))
        };
        let (name, family, model) = (field("model name")?, field("cpu family")?, field("model")?);
        let processor = format!("{name}, family {family}, model {model}");
        Ok(Self { compiler: compiler.to_owned(), processor })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.compiler, self.processor)
    }
}

impl Baseline {
    pub(super) fn read(text: &str) -> Result<Self> {
        serde_json::from_str(text).context("no baseline")
    }

    pub(super) fn text(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// The numbers of a machine, if there are any.
    pub(super) fn counts(&self, machine: &Machine) -> Option<&Counts> {
        Some(&self.0.iter().find(|numbers| numbers.machine == *machine)?.instructions)
    }

    /// Puts the numbers of a machine in the place of those that it had.
    pub(super) fn set(&mut self, machine: Machine, instructions: Counts) {
        self.0.retain(|numbers| numbers.machine != machine);
        self.0.push(Numbers { machine, instructions });
        self.0.sort_by(|one, other| one.machine.cmp(&other.machine));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(compiler: &str, model: u32) -> Machine {
        let cpuinfo =
            format!("processor\t: 0\ncpu family\t: 6\nmodel\t\t: {model}\nmodel name\t: Some CPU\n\n");
        Machine::new(compiler, &cpuinfo).unwrap()
    }

    fn counts(count: u64) -> Counts {
        [("path".to_owned(), count)].into()
    }

    #[test]
    fn each_compiler_and_processor_has_its_own_numbers() {
        let mut baseline = Baseline::read("[]").unwrap();
        baseline.set(machine("rustc 1.95.0", 143), counts(1));
        baseline.set(machine("rustc 1.96.0", 143), counts(2));
        baseline.set(machine("rustc 1.95.0", 143), counts(3));
        let baseline = Baseline::read(&baseline.text().unwrap()).unwrap();
        assert_eq!(baseline.counts(&machine("rustc 1.95.0", 143)), Some(&counts(3)));
        assert_eq!(baseline.counts(&machine("rustc 1.96.0", 143)), Some(&counts(2)));
        assert_eq!(baseline.counts(&machine("rustc 1.95.0", 85)), None);
    }

    #[test]
    fn a_processor_is_known_by_its_name_and_numbers() {
        let machine = machine("rustc 1.95.0 (abc 2026-04-14)", 143).to_string();
        assert_eq!(machine, "rustc 1.95.0 (abc 2026-04-14) on Some CPU, family 6, model 143");
        assert!(Machine::new("rustc", "processor: 0\n").is_err());
    }
}
