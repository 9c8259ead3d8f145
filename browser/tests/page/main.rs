//! The page of real runs in a headless Chromium. `make test-page` builds what it needs, and runs it.

mod cutover;
mod differences;
mod phases;
mod pictures;
mod reading;
mod run;
