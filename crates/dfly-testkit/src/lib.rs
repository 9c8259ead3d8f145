//! Recorded and scripted Dragonfly masters, real Redis servers and comparisons, for tests and the demo.
