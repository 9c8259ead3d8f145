//! The result of a comparison.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dfly_translate::Loss;
use serde::{Deserialize, Serialize};

use crate::sample::at_most;
use crate::store::Finding;
use crate::verdict::Certainty;

/// What a comparison says as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything was compared, and nothing differs.
    Equal,
    /// Something differs.
    Different,
    /// Nothing was found that differs, but not everything could be compared.
    Incomplete,
}

/// What was counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Summary {
    /// The mode, or the name of another engine.
    pub mode: String,
    /// Keys whose two sides were compared, keys of one side alone among them.
    pub compared: u64,
    /// Keys that were equal when they were compared last.
    pub equal: u64,
    /// Keys that differed, were refetched, and are equal now.
    pub repaired: u64,
    /// Keys that differ.
    pub different: u64,
    /// Those of them that have not changed over two rounds, or for which it is exact.
    pub certain: u64,
    /// How many keys differ in what.
    pub kinds: BTreeMap<String, u64>,
    /// Keys that could not be compared.
    pub not_compared: u64,
    /// What else could not be compared: why, in words.
    pub gaps: Vec<String>,
    /// Keys that the target cannot hold and the policy leaves out, by kind.
    pub left_out: BTreeMap<String, u64>,
    /// Keys of the source that the settings leave out.
    pub unselected: u64,
    /// Keys of the target that cannot come from the source.
    pub foreign: u64,
    /// Keys of the source and keys of the target alone that were seen and not chosen for the sample.
    pub unsampled: u64,
    /// Whether only a sample was compared.
    pub is_sample: bool,
    /// How many rounds there were.
    pub rounds: u32,
    /// Whether it was stopped before its end.
    pub is_stopped: bool,
}

impl Summary {
    /// What it says as a whole.
    pub fn outcome(&self) -> Outcome {
        let is_incomplete = self.not_compared > 0 || !self.gaps.is_empty() || self.is_stopped;
        match self.different {
            0 if is_incomplete => Outcome::Incomplete,
            0 => Outcome::Equal,
            _ => Outcome::Different,
        }
    }

    pub(crate) fn leave_out(&mut self, loss: Loss) {
        *self.left_out.entry(loss.name().to_owned()).or_default() += 1;
    }

    pub(crate) fn add_gap(&mut self, gap: String) {
        if !self.gaps.contains(&gap) {
            self.gaps.push(gap);
        }
    }

    /// Counts a finding that stands at the end.
    pub(crate) fn count(&mut self, finding: &Finding) {
        match finding {
            Finding::NotCompared { .. } => self.not_compared += 1,
            Finding::Different { different, certainty } => {
                self.different += 1;
                self.certain += u64::from(*certainty != Certainty::DiffersOrChanges);
                for what in &different.what {
                    *self.kinds.entry(what.name().to_owned()).or_default() += 1;
                }
            }
        }
    }

    /// What a sample says about all keys; `None` if everything was compared.
    pub fn confidence(&self) -> Option<String> {
        let all = self.compared + self.unsampled;
        let most = at_most(self.different, self.compared, all);
        self.is_sample.then(|| format!("with 95 % confidence fewer than {} of {all} keys differ", most + 1))
    }

    /// The result in lines for people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |text: std::fmt::Arguments<'_>| {
            out.write_fmt(text).unwrap_or_default();
            out.push('\n');
        };
        line(format_args!("compared      {} (mode {})", self.compared, self.mode));
        line(format_args!("equal         {}", self.equal));
        if self.repaired > 0 {
            line(format_args!("repaired      {}", self.repaired));
        }
        line(format_args!("different     {}{}", self.different, self.certainty()));
        for (kind, count) in &self.kinds {
            line(format_args!("  {kind:<12}{count}"));
        }
        line(format_args!("not compared  {}", self.not_compared));
        let total: u64 = self.left_out.values().sum();
        line(format_args!("left out      {total}"));
        for (loss, count) in &self.left_out {
            line(format_args!("  {loss:<12}{count}"));
        }
        for (name, count) in [("unselected", self.unselected), ("foreign", self.foreign)] {
            if count > 0 {
                line(format_args!("{name:<14}{count}"));
            }
        }
        for gap in &self.gaps {
            line(format_args!("not everything was compared: {gap}"));
        }
        if self.is_stopped {
            line(format_args!("not everything was compared: it was stopped"));
        }
        if let Some(confidence) = self.confidence() {
            line(format_args!("{confidence}"));
        }
        line(format_args!("{}", self.sentence()));
        out
    }

    fn certainty(&self) -> String {
        match self.different - self.certain {
            0 => String::new(),
            unsure => format!(" ({unsure} of them differ or change)"),
        }
    }

    /// The result in one sentence.
    pub fn sentence(&self) -> &'static str {
        match (self.outcome(), self.is_sample) {
            (Outcome::Equal, false) => "both sides are equal",
            (Outcome::Equal, true) => "the sample is equal on both sides",
            (Outcome::Different, _) => "the sides differ",
            (Outcome::Incomplete, _) => "not everything could be compared; what was compared is equal",
        }
    }
}
