//! Who reads the page, and what they are sent.

mod assets;
mod frames;
mod headers;
mod hub;
mod routes;
mod source;

pub use routes::routes;
pub use source::Source;
