//! Comparisons of real servers, standalone and cluster. A Redis plays the source where Dragonfly's own answers do not matter.

mod planted;
mod sides;
