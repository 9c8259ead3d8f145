//! End to end: how fast the release binary copies a snapshot and follows a journal, beside `redis-cli --pipe` with the same
//! commands into the same Redis; what it needs of CPU and memory. Medians, the two interleaved.
//!
//! A snapshot is measured from the start of the tool until its end is durable on the target. For a journal the source
//! accumulates: the tool has caught up and is stopped, the source takes the writes, and the time runs from the tool's
//! start until the durable positions are the source's. `redis-cli --pipe` gets the RESTOREs that the tool writes.

#![expect(clippy::print_stdout, reason = "a table is what this program is for")]

mod case;
mod measure;
mod place;
mod process;
mod source;
mod target;
mod tool;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;

use case::Case;
use measure::{Bench, Sample};
use place::Place;
use source::Source;

/// Measures the release binary end to end.
#[derive(Debug, Parser)]
struct Flags {
    /// How often each is measured; medians are shown.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Sizes are divided by this.
    #[arg(long, default_value_t = 1)]
    divide: u32,
    /// A Dragonfly binary; without it the source is the scripted master.
    #[arg(long)]
    dragonfly: Option<PathBuf>,
    /// How many flows the source has.
    #[arg(long, default_value_t = 1)]
    flows: u16,
    /// The tool; the default is the one beside this program.
    #[arg(long)]
    tool: Option<PathBuf>,
    /// Instead of beside redis-cli, into clusters of so many nodes beside a single server.
    #[arg(long, value_delimiter = ',')]
    clusters: Vec<usize>,
    /// Only cases whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> Result<()> {
    let flags = Flags::parse();
    let beside = std::env::current_exe()?.with_file_name("df2redis-cli");
    let tool = flags.tool.clone().unwrap_or(beside);
    match &flags.dragonfly {
        Some(_) => println!("source: a live Dragonfly with {} flows", flags.flows),
        None => println!(
            "source: the scripted master with {} flows. It keeps a model beside the bytes and makes a snapshot or a backlog only when \
             it is asked for it, in the time that is measured; ratios say little.",
            flags.flows
        ),
    }
    if !flags.clusters.is_empty() {
        return clusters(&flags, &tool);
    }
    println!(
        "{} rounds, sizes divided by {}; ratio: the time of redis-cli --pipe by that of the tool",
        flags.rounds, flags.divide
    );
    println!(
        "{:38} {:>9} {:>7} {:>7} {:>6} {:>5} | {:>9} {:>9} | {:>8} {:>8} {:>8} {:>5}",
        "",
        "commands",
        "tool s",
        "pipe s",
        "ratio",
        "aim",
        "CPU s/M",
        "peak MiB",
        "source",
        "target",
        "in pipe",
        "busy"
    );
    for case in Case::ALL.into_iter().filter(|case| case.name().contains(&flags.only)) {
        let size = (case.size() / flags.divide.max(1)).max(1000);
        let source = Source::start(flags.dragonfly.as_deref(), flags.flows)?;
        let bench = Bench::prepare(case, size, (&tool, source, Place::start(None)?))?;
        measure(&bench, flags.rounds.max(1)).with_context(|| case.name())?;
    }
    println!(
        "CPU s/M: CPU seconds of the tool for a million keys or records; on the right, CPU seconds of the servers."
    );
    println!("Aims: under 0.6 CPU s for a million keys, under 64 MiB.");
    Ok(())
}

/// The tool into a server and into clusters, interleaved, each with a source of its own.
fn clusters(flags: &Flags, tool: &std::path::Path) -> Result<()> {
    println!(
        "{} rounds, sizes divided by {}; CPU s/M: CPU seconds for a million keys or records",
        flags.rounds, flags.divide
    );
    println!(
        "{:38} {:18} {:>9} {:>7} {:>6} | {:>10} {:>11}",
        "", "into", "commands", "tool s", "ratio", "tool CPU/M", "target CPU/M"
    );
    for case in Case::ALL.into_iter().filter(|case| case.name().contains(&flags.only)) {
        let size = (case.size() / flags.divide.max(1)).max(1000);
        let places = [None].into_iter().chain(flags.clusters.iter().copied().map(Some));
        let benches = places.map(|nodes| {
            let source = Source::start(flags.dragonfly.as_deref(), flags.flows)?;
            Bench::prepare(case, size, (tool, source, Place::start(nodes)?))
        });
        let benches = benches.collect::<Result<Vec<_>>>()?;
        let mut samples = vec![Vec::new(); benches.len()];
        for _round in 0..flags.rounds.max(1) {
            for (bench, samples) in benches.iter().zip(&mut samples) {
                samples.push(bench.tool()?);
            }
        }
        let single = samples.first().map_or(0.0, |samples| median(samples, |sample| sample.seconds));
        for (bench, samples) in benches.iter().zip(&samples) {
            show_place(bench, samples, single);
        }
    }
    Ok(())
}

fn show_place(bench: &Bench<'_>, samples: &[Sample], single: f64) {
    let seconds = median(samples, |sample| sample.seconds);
    let millions = f64::from(bench.size) / 1e6;
    println!(
        "{:38} {:18} {:>9} {seconds:>7.2} {:>6.2} | {:>10.2} {:>11.2}",
        bench.case.name(),
        bench.target_name(),
        bench.size,
        single / seconds,
        median(samples, |sample| sample.tool_cpu) / millions,
        median(samples, |sample| sample.target_cpu) / millions,
    );
}

/// The two interleaved, each first in every other round.
fn measure(bench: &Bench<'_>, rounds: usize) -> Result<()> {
    let (mut tools, mut pipes) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        if round % 2 == 0 {
            tools.push(bench.tool()?);
            pipes.push(bench.pipe()?);
        } else {
            pipes.push(bench.pipe()?);
            tools.push(bench.tool()?);
        }
    }
    show(bench, &tools, &pipes);
    Ok(())
}

fn show(bench: &Bench<'_>, tools: &[Sample], pipes: &[Sample]) {
    let seconds = median(tools, |sample| sample.seconds);
    let piped = median(pipes, |sample| sample.seconds);
    let millions = f64::from(bench.size) / 1e6;
    println!(
        "{:38} {:>9} {seconds:>7.2} {piped:>7.2} {:>6.2} {:>5.2} | {:>9.2} {:>9.1} | {:>8.2} {:>8.2} {:>8.2} {:>4.0}%",
        bench.case.name(),
        bench.size,
        piped / seconds,
        bench.case.aim(),
        median(tools, |sample| sample.tool_cpu) / millions,
        median(tools, |sample| sample.peak),
        median(tools, |sample| sample.source_cpu),
        median(tools, |sample| sample.target_cpu),
        median(pipes, |sample| sample.target_cpu),
        median(tools, |sample| 100.0 * sample.cpu() / sample.seconds / cores()),
    );
}

fn cores() -> f64 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    f64::from(u32::try_from(cores).unwrap_or(u32::MAX))
}

fn median(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
