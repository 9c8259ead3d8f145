//! How fast `check` compares in rounds, beside bare pipelined reads of both sides; how much memory it takes; and what a client
//! of the source notices of it. Medians; reads and comparisons take turns.
//!
//! Strings are read with GET, in the order in which they were written and in a scattered one: SCAN gives keys in the order of
//! their hashes, so a comparison reads them scattered. Collections are read with DUMP.

#![expect(clippy::print_stdout, reason = "a table is what this program is for")]

mod bare;
mod comparison;
mod data;
mod probe;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Parser;
use df2redis_benches::rig::median;
use df2redis_benches::rig::source::Source;
use dfly_testkit::{RedisOptions, RedisServer};

use bare::{Order, Reads};
use comparison::{Comparison, Taken};
use data::Data;
use probe::Probe;

/// Measures comparisons in rounds.
#[derive(Debug, Parser)]
struct Flags {
    /// How often each is measured; medians are shown.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many strings of 32 bytes.
    #[arg(long, default_value_t = 1_000_000)]
    strings: u32,
    /// How many collections of 50 elements.
    #[arg(long, default_value_t = 20_000)]
    collections: u32,
    /// A Dragonfly binary; without it a Redis plays the source.
    #[arg(long)]
    dragonfly: Option<PathBuf>,
    /// How many shards the Dragonfly has.
    #[arg(long, default_value_t = 2)]
    flows: u16,
    /// Connections of the comparison to each side.
    #[arg(long, default_value_t = 4)]
    connections: u32,
    /// The tool; the default is the one beside this program.
    #[arg(long)]
    tool: Option<PathBuf>,
}

fn main() -> Result<()> {
    let flags = Flags::parse();
    let beside = std::env::current_exe()?.with_file_name("df2redis-cli");
    let tool = flags.tool.clone().unwrap_or(beside);
    println!(
        "{} rounds, {} connections; source: {}",
        flags.rounds,
        flags.connections,
        if flags.dragonfly.is_some() { "a live Dragonfly" } else { "a Redis" }
    );
    println!(
        "{:12} {:>9} {:>8} {:>9} {:>7} {:>9} | {:20} {:>7} {:>6} | {:>9} {:>9}",
        "", "keys", "check s", "keys/s", "CPU s", "peak MiB", "beside", "s", "ratio", "p99 idle", "p99 then"
    );
    for data in [Data::Strings(flags.strings), Data::Collections(flags.collections)] {
        if data.keys() > 0 {
            measure(&flags, &tool, data)?;
        }
    }
    println!(
        "ratio: the time of the bare reads by that of the comparison. p99: of a client that asks the source for the type of one key every \
         millisecond, in ms, without a comparison and beside one."
    );
    Ok(())
}

fn source(flags: &Flags) -> Result<Source> {
    match &flags.dragonfly {
        Some(program) => Source::live(program, flags.flows, &[]),
        None => Ok(Source::Live(RedisServer::start(RedisOptions::default())?)),
    }
}

fn measure(flags: &Flags, tool: &std::path::Path, data: Data) -> Result<()> {
    let (source, target) = (source(flags)?, RedisServer::start(RedisOptions::default())?);
    data.load(source.address())?;
    data.load(target.address())?;
    let scheme = if flags.dragonfly.is_some() { "dragonfly" } else { "redis" };
    let comparison = Comparison {
        tool,
        source: format!("{scheme}://{}", source.address()),
        target: target.url(),
        connections: flags.connections,
        keys: data.keys(),
    };
    let orders = data.orders();
    let (mut taken, mut bare) = (Vec::new(), vec![Vec::new(); orders.len()]);
    let (mut idle, mut beside) = (Vec::new(), Vec::new());
    for _round in 0..flags.rounds.max(1) {
        for (order, seconds) in orders.iter().zip(&mut bare) {
            let reads = Reads { sides: [source.address(), target.address()], data, order: *order };
            seconds.push(reads.run()?);
        }
        taken.push(comparison.run()?);
        // The probe costs time, so it watches a comparison of its own.
        let probe = Probe { source: source.address(), data };
        idle.push(probe.alone()?);
        beside.push(probe.beside(|| comparison.run().map(drop))?);
    }
    ensure!(!taken.is_empty(), "nothing was measured");
    show(data, &taken, &orders.into_iter().zip(bare).collect::<Vec<_>>(), [median(idle), median(beside)]);
    Ok(())
}

fn show(data: Data, taken: &[Taken], bare: &[(Order, Vec<f64>)], p99: [f64; 2]) {
    let of = |figure: fn(&Taken) -> f64| median(taken.iter().map(figure).collect());
    let (seconds, [idle, then]) = (of(|taken| taken.seconds), p99);
    for (order, times) in bare {
        let reads = median(times.clone());
        println!(
            "{:12} {:>9} {seconds:>8.2} {:>9.0} {:>7.2} {:>9.1} | {:20} {reads:>7.2} {:>6.2} | {idle:>9.2} {then:>9.2}",
            data.name(),
            data.keys(),
            f64::from(data.keys()) / seconds,
            of(|taken| taken.cpu),
            of(|taken| taken.peak),
            format!("{} {}", data.read(), order.name()),
            reads / seconds,
        );
    }
}
