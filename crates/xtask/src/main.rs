//! What the workspace does to itself. Its rules are tests: who may import whom, how long a file may be, which names are
//! drawers. They run with `cargo test`. `cargo run -p xtask -- mutants [NAME..]` shows what the differential campaign is worth;
//! `instructions [--save]` counts the instructions of hot paths and compares them with a baseline.

mod instructions;
mod mutants;

use std::io::Write;
use std::process::ExitCode;

const USAGE: &str = "usage: cargo run -p xtask -- mutants [NAME..] | instructions [--save]";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let result = match words.next().as_deref() {
        Some("mutants") => mutants::run(&words.collect::<Vec<_>>()),
        Some("instructions") => match words.collect::<Vec<_>>().as_slice() {
            [] => instructions::run(false),
            [save] if save == "--save" => instructions::run(true),
            _ => Err(anyhow::anyhow!(USAGE)),
        },
        _ => Err(anyhow::anyhow!(USAGE)),
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
