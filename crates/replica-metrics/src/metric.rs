//! What a metric is.

use dfly_replica::{Latency, Report};
use replica_api::wire::Status;

use crate::process::Process;

/// Everything that metrics are read from, at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// What the run is doing, as the API tells it.
    pub status: &'a Status,
    /// The report that this is made from.
    pub report: &'a Report,
    /// What the system says of the process.
    pub process: Process,
}

/// How the values of a metric behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, until the process ends.
    Counter,
    /// It goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
    /// Facts in labels; the value is 1.
    Info,
}

impl Kind {
    /// Its word in the format.
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name, without the prefix `df2redis_` and without the suffix of its unit and its kind.
    pub name: &'static str,
    /// How its values behave.
    pub kind: Kind,
    /// `seconds`, `bytes`, or nothing.
    pub unit: &'static str,
    /// The labels of each value.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence.
    pub help: &'static str,
    /// Reads its values.
    pub read: fn(&Seen<'_>, &mut Readings),
}

impl Metric {
    /// The name of its values in the format.
    pub fn sample_name(&self) -> String {
        let unit = if self.unit.is_empty() { String::new() } else { format!("_{}", self.unit) };
        let suffix = match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        };
        format!("df2redis_{}{unit}{suffix}", self.name)
    }
}

/// What was read of one metric.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Readings {
    /// The values, each with its labels in the order of the metric's.
    pub values: Vec<(Vec<String>, f64)>,
    /// The distribution, if it is one.
    pub distribution: Option<Latency>,
}

impl Readings {
    /// A value without labels.
    pub fn add(&mut self, value: f64) {
        self.values.push((Vec::new(), value));
    }

    /// A value, if it is known.
    pub fn add_known(&mut self, value: Option<f64>) {
        value.into_iter().for_each(|value| self.add(value));
    }

    /// A value with several labels.
    pub fn labels<const N: usize>(&mut self, labels: [&str; N], value: f64) {
        self.values.push((labels.map(str::to_owned).to_vec(), value));
    }

    /// A value with one label.
    pub fn label(&mut self, label: &(impl ToString + ?Sized), value: f64) {
        self.values.push((vec![label.to_string()], value));
    }
}
