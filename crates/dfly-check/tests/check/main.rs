//! Comparisons of real servers, standalone and cluster. A Redis plays the source where Dragonfly's own answers do not matter.

mod full_check;
mod in_step;
mod kept;
mod large;
mod planted;
mod repair;
mod selected;
mod sides;
mod unreadable;
