//! The server: routes, who may use them, and where it listens.

mod answers;
mod api;
mod check_routes;
mod checks;
mod cutovers;
mod document;
mod forwarding;
mod go_tool;
mod guard;
mod history;
mod listen;
mod problems;
mod replication;
mod routes;
mod sampling;
mod verification;

pub use api::routes;
pub use checks::Comparisons;
pub use cutovers::Cutovers;
pub use document::document;
pub use forwarding::forward;
pub use guard::{Access, Token};
pub use history::History;
pub use listen::{ListenError, SocketFile, serve};
pub use problems::Refusal;
pub use replication::Replication;
pub use sampling::sample;
pub use verification::{Verifiable, Verification};
