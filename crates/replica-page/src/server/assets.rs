//! The files that the page needs.

/// A file, with its type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asset {
    pub name: &'static str,
    pub kind: &'static str,
    pub text: &'static str,
}

/// All of them.
pub(super) const ASSETS: [Asset; 3] = [
    Asset { name: "page.css", kind: "text/css; charset=utf-8", text: include_str!("../../assets/page.css") },
    Asset {
        name: "page.js",
        kind: "text/javascript; charset=utf-8",
        text: include_str!("../../assets/page.js"),
    },
    Asset { name: "icon.svg", kind: "image/svg+xml", text: include_str!("../../assets/icon.svg") },
];

/// The release: the files change with it alone.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
