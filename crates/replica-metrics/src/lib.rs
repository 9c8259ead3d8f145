//! Metrics of a running replication in the OpenMetrics format, and whether it is healthy and ready.
//!
//! What it is: one table of metrics ([`METRICS`]), each with its name, its unit, its labels, its meaning and where its values come
//! from; and a router that answers `/metrics`, `/healthz` and `/readyz`. The document in `docs/observability` is made from
//! the table.
//!
//! What it is not: it counts nothing itself. Everything comes from the reports of the engine, when it is asked for.
//!
//! ```
//! use dfly_replica::Report;
//! use replica_api::wire::Status;
//! use replica_metrics::{Process, Seen, text};
//!
//! let (status, report) = (Status { version: "1.2.3".to_owned(), ..Status::default() }, Report::default());
//! let text = text(&Seen { status: &status, report: &report, process: Process::default() });
//! assert!(text.contains("df2redis_build_info{version=\"1.2.3\"} 1"));
//! assert!(!text.contains("\ndf2redis_lag_seconds "), "there is no lag before stable sync");
//! ```

mod document;
mod encoding;
mod health;
mod metric;
mod process;
mod routes;
mod table;

pub use document::markdown;
pub use encoding::text;
pub use health::{NotReady, not_ready};
pub use metric::{Kind, Metric, Readings, Seen};
pub use process::Process;
pub use routes::routes;
pub use table::METRICS;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
