//! A browser, driven by the WebDriver protocol, for the tests of the page (`tests/page`). Debian's `chromium` and
//! `chromium-driver` have to be there.

mod browser;
mod commands;

pub use browser::Browser;
