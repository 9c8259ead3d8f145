//! HTML of what is shown.

mod cutover;
mod dialogs;
mod flows;
mod nodes;
mod page;
mod parts;
mod plot_svg;
mod plots;
mod top;

pub(crate) use page::{Reader, page};
pub(crate) use parts::{PARTS, part};
