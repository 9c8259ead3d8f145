//! Writes what a file holds: as text for people, or as one JSON object a line.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::CheckConfig;
use crate::store::{Finding, Store, StoreError, facts};
use crate::summary::Summary;
use crate::verdict::{Certainty, Pair, shown_key};

/// What was compared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct About {
    /// The source's address.
    pub source: String,
    /// The target's address.
    pub target: String,
    /// The settings that decide what is equal, in one text: a comparison goes on after a stop only with the same.
    pub settings: String,
    /// Whether it is made in step with a replication.
    pub in_step: bool,
}

impl About {
    /// What the comparison of this file is about, if it has one.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn in_file(store: &Store) -> Result<Option<Self>, StoreError> {
        store.fact(facts::ABOUT)
    }

    /// What a comparison with these settings is about, which is not made in step.
    pub fn of(config: &CheckConfig) -> Self {
        let engine = &config.engine;
        let CheckConfig { mode, expiry_tolerance, big_key_threshold, sample, .. } = config;
        let settings = format!(
            "{} {} {} {expiry_tolerance:?} {big_key_threshold} {sample:?} {} {:?}",
            engine.source,
            engine.target,
            mode.name(),
            engine.rules.policies,
            engine.rules.selection,
        );
        Self {
            source: engine.source.to_string(),
            target: engine.target.to_string(),
            settings,
            in_step: false,
        }
    }
}

/// Why there is no report.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The file cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The comparison in the file has not ended.
    #[error("the report file holds no result: the comparison has not ended; resume it")]
    Unfinished,
    /// The text cannot be written.
    #[error("the report cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// How many findings are read at once.
const PAGE: usize = 1024;

/// A finding, as one JSON object.
#[derive(Serialize)]
struct Row<'a> {
    source_db: u32,
    source_key: String,
    target_db: u32,
    target_key: String,
    #[serde(flatten)]
    finding: &'a Finding,
}

/// A report of a file.
#[derive(Debug)]
pub struct Report<'a> {
    store: &'a Store,
    about: About,
    summary: Summary,
}

impl<'a> Report<'a> {
    /// What the file holds.
    ///
    /// # Errors
    /// [`ReportError::Store`], [`ReportError::Unfinished`].
    pub fn of(store: &'a Store) -> Result<Self, ReportError> {
        let summary = store.fact(facts::SUMMARY)?.ok_or(ReportError::Unfinished)?;
        Ok(Self { store, about: store.fact(facts::ABOUT)?.unwrap_or_default(), summary })
    }

    /// The result.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Writes at most `most` findings as lines of text, and the result behind them.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn write_text(&self, out: &mut impl Write, most: usize) -> Result<(), ReportError> {
        writeln!(out, "{} -> {}", self.about.source, self.about.target)?;
        let mut left = most;
        self.each(&mut |pair, finding| {
            if left > 0 {
                left -= 1;
                writeln!(out, "{}", line(pair, finding))?;
            }
            Ok(left > 0)
        })?;
        let rest = self.store.len()?.saturating_sub(most as u64);
        if rest > 0 {
            writeln!(out, "... and {rest} more")?;
        }
        Ok(out.write_all(self.summary.text().as_bytes())?)
    }

    /// Writes every finding as a JSON object in a line of its own, and the result as the last.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn write_json(&self, out: &mut impl Write) -> Result<(), ReportError> {
        self.each(&mut |pair, finding| {
            let row = Row {
                source_db: pair.source.db.0,
                source_key: pair.source.name.escape_ascii().to_string(),
                target_db: pair.target.db.0,
                target_key: pair.target.name.escape_ascii().to_string(),
                finding,
            };
            serde_json::to_writer(&mut *out, &row).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
            Ok(true)
        })?;
        #[derive(Serialize)]
        struct Last<'a> {
            source: &'a str,
            target: &'a str,
            outcome: crate::summary::Outcome,
            confidence: Option<String>,
            #[serde(flatten)]
            summary: &'a Summary,
        }
        let last = Last {
            source: &self.about.source,
            target: &self.about.target,
            outcome: self.summary.outcome(),
            confidence: self.summary.confidence(),
            summary: &self.summary,
        };
        serde_json::to_writer(&mut *out, &last).map_err(io::Error::from)?;
        Ok(out.write_all(b"\n")?)
    }

    /// Gives every finding in its order, for as long as `write` says.
    fn each(
        &self,
        write: &mut impl FnMut(&Pair, &Finding) -> Result<bool, ReportError>,
    ) -> Result<(), ReportError> {
        let mut after: Option<Pair> = None;
        loop {
            let found = self.store.findings(after.as_ref(), PAGE)?;
            let Some((last, _)) = found.last() else { return Ok(()) };
            after = Some(last.clone());
            for (pair, finding) in &found {
                if !write(pair, finding)? {
                    return Ok(());
                }
            }
        }
    }
}

/// A finding in one line: the key, what is the matter, and both sides' outlines.
pub fn line(pair: &Pair, finding: &Finding) -> String {
    let key = shown_key(pair.source.db, &pair.source.name);
    let is_renamed = pair.source.db != pair.target.db || pair.source.name != pair.target.name;
    let renamed = if is_renamed {
        format!(" (target: {})", shown_key(pair.target.db, &pair.target.name))
    } else {
        String::new()
    };
    match finding {
        Finding::NotCompared { reason } => format!("{key}{renamed}: not compared: {reason}"),
        Finding::Different { different, certainty } => {
            let what: Vec<String> = different.what.iter().map(ToString::to_string).collect();
            let how = match certainty {
                Certainty::Differs => String::new(),
                other => format!(" ({other})"),
            };
            format!(
                "{key}{renamed}: {}{how}; source: {}; target: {}",
                what.join(", "),
                different.source,
                different.target
            )
        }
    }
}
