//! Nothing but the tests of the page in a browser (`tests/page`).
