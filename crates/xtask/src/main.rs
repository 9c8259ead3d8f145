//! What the workspace does to itself. Its rules are tests: who may import whom, how long a file may be, which names are
//! drawers. They run with `cargo test`. `cargo run -p xtask -- mutants [NAME..]` shows what the differential campaign is worth.

mod mutants;

use std::io::Write;
use std::process::ExitCode;

const USAGE: &str = "usage: cargo run -p xtask -- mutants [NAME..]\n";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let result = match words.next().as_deref() {
        Some("mutants") => mutants::run(&words.collect::<Vec<_>>()),
        _ => Err(anyhow::anyhow!("{}", USAGE.trim_end())),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody can be told that this failed.
            writeln!(std::io::stderr(), "{error:#}").ok();
            ExitCode::from(2)
        }
    }
}
