//! End to end: how fast the release binary copies a snapshot and follows a journal, beside `redis-cli --pipe` with the same
//! commands into the same Redis; what it needs of CPU and memory. Medians, the two interleaved.
//!
//! A snapshot is measured from the start of the tool until its end is durable on the target. For a journal the source
//! accumulates: the tool has caught up and is stopped, the source takes the writes, and the time runs from the tool's
//! start until the durable positions are the source's. `redis-cli --pipe` gets the RESTOREs that the tool writes.

#![expect(clippy::print_stdout, reason = "a table is what this program is for")]

mod case;
mod discarding;
mod live;
mod load;
mod measure;
mod native;
mod place;
mod relay;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use df2redis_benches::rig;
use df2redis_benches::rig::run::Sample;
use df2redis_benches::rig::source::Source;

use case::Case;
use measure::Bench;
use place::Place;

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
    /// Instead of beside redis-cli: what the source keeps of its rate, and the lag at half of that, with values of so many bytes.
    /// Needs a Dragonfly.
    #[arg(long, value_delimiter = ',')]
    live: Vec<usize>,
    /// With `--live`: the nice value of the followers and their targets. The source and its clients keep theirs.
    #[arg(long)]
    nice: Option<i32>,
    /// With `--live`: clients that write at the same time, each in pipelines of 50.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    clients: u32,
    /// Only cases whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Be a relay from this source. `--live` measures one that it starts.
    #[arg(long, hide = true, requires = "relay_to")]
    relay_from: Option<SocketAddr>,
    /// The target of the relay.
    #[arg(long, hide = true)]
    relay_to: Option<SocketAddr>,
}

fn main() -> Result<()> {
    let flags = Flags::parse();
    if let (Some(source), Some(target)) = (flags.relay_from, flags.relay_to) {
        let value = flags.live.first().copied().context("needs --live")?;
        return relay::run(relay::Ends { source, target, value });
    }
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
    if !flags.live.is_empty() {
        return followers(&flags, &tool);
    }
    println!(
        "{} rounds, sizes divided by {}; ratio: the time of redis-cli --pipe by that of the tool, of a journal without its start",
        flags.rounds, flags.divide
    );
    println!(
        "{:38} {:>9} {:>7} {:>7} {:>7} {:>6} {:>5} {:>8} {:>8} | {:>9} {:>9} | {:>8} {:>8} {:>8} {:>5}",
        "",
        "commands",
        "tool s",
        "start s",
        "pipe s",
        "ratio",
        "aim",
        "native s",
        "reader s",
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
        measure(&bench, &flags).with_context(|| case.name())?;
    }
    println!(
        "CPU s/M: CPU seconds of the tool for a million keys or records; on the right, CPU seconds of the servers."
    );
    println!("start: how long the same run takes for one record.");
    println!("reader: a replica that throws everything away, until the last byte of the snapshot.");
    println!("Aims: under 0.6 CPU s for a million keys, under 64 MiB.");
    Ok(())
}

/// The tool into a server and into clusters, interleaved, each with a source of its own.
fn clusters(flags: &Flags, tool: &std::path::Path) -> Result<()> {
    println!(
        "{} rounds, sizes divided by {}; by server, by pipes: of a journal without the start; CPU s/M: CPU seconds for a million keys or \
         records",
        flags.rounds, flags.divide
    );
    println!(
        "{:38} {:18} {:>9} {:>7} {:>7} {:>9} {:>7} {:>8} | {:>10} {:>12} {:>8}",
        "",
        "into",
        "commands",
        "tool s",
        "start s",
        "by server",
        "pipes s",
        "by pipes",
        "tool CPU/M",
        "target CPU/M",
        "peak MiB"
    );
    for case in Case::ALL.into_iter().filter(|case| case.name().contains(&flags.only)) {
        let size = (case.size() / flags.divide.max(1)).max(1000);
        let places = [None].into_iter().chain(flags.clusters.iter().copied().map(Some));
        let benches = places.map(|nodes| {
            let source = Source::start(flags.dragonfly.as_deref(), flags.flows)?;
            Bench::prepare(case, size, (tool, source, Place::start(nodes)?))
        });
        let benches = benches.collect::<Result<Vec<_>>>()?;
        let (mut samples, mut piped) = (vec![Vec::new(); benches.len()], vec![Vec::new(); benches.len()]);
        for _round in 0..flags.rounds.max(1) {
            for (bench, (samples, piped)) in benches.iter().zip(samples.iter_mut().zip(&mut piped)) {
                samples.push(bench.tool()?);
                piped.push(bench.pipe()?);
            }
        }
        let single =
            samples.first().map_or(0.0, |samples| median(samples, |sample| sample.seconds - sample.start));
        for (bench, (samples, piped)) in benches.iter().zip(samples.iter().zip(&piped)) {
            show_place(bench, samples, piped, single);
        }
    }
    Ok(())
}

/// With nothing attached, with the tool and with a replica, in turn.
fn followers(flags: &Flags, tool: &std::path::Path) -> Result<()> {
    let dragonfly = flags.dragonfly.as_deref().context("needs --dragonfly")?;
    println!(
        "{} rounds; CPU: microseconds for a SET; idle: processors without work at full speed; lag: from the source's answer to a SET \
         until it is seen, at half of the rate",
        flags.rounds
    );
    println!(
        "{:>9} {:10} {:>9} {:>6} {:>10} {:>8} {:>10} {:>6} {:>10} {:>10}",
        "bytes",
        "follower",
        "SETs/s",
        "kept",
        "source CPU",
        "tool CPU",
        "target CPU",
        "idle",
        "lag ms",
        "99th ms"
    );
    for &value in &flags.live {
        let programs =
            live::Programs { tool, dragonfly, flows: flags.flows, clients: flags.clients, nice: flags.nice };
        let rows = live::measure(programs, flags.rounds.max(1), value)?;
        let alone = rows.first().map_or(0.0, |row| rig::median(row.rates.clone()));
        for (name, row) in ["nothing", "the tool", "a replica", "a relay"].into_iter().zip(rows) {
            let rate = rig::median(row.rates);
            let lags = row.lags;
            let lag =
                |nth: usize| rig::median(lags.iter().filter_map(|lags| lags.get(nth).copied()).collect());
            println!(
                "{value:>9} {name:10} {rate:>9.0} {:>6.2} {:>10.2} {:>8.2} {:>10.2} {:>6.2} {:>10.2} {:>10.2}",
                rate / alone,
                rig::median(row.source_cpu),
                rig::median(row.tool_cpu),
                rig::median(row.target_cpu),
                rig::median(row.idle),
                lag(0),
                lag(1)
            );
        }
    }
    println!(
        "A relay sends the target prepared commands, a byte for every byte of the journal, and does nothing else: \
         about what any third process between the two takes."
    );
    Ok(())
}

fn show_place(bench: &Bench<'_>, samples: &[Sample], piped: &[Sample], single: f64) {
    let seconds = median(samples, |sample| sample.seconds);
    let start = median(samples, |sample| sample.start);
    let pipes = median(piped, |sample| sample.seconds);
    let millions = f64::from(bench.size) / 1e6;
    println!(
        "{:38} {:18} {:>9} {seconds:>7.2} {start:>7.2} {:>9.2} {pipes:>7.2} {:>8.2} | {:>10.2} {:>12.2} {:>8.1}",
        bench.case.name(),
        bench.target_name(),
        bench.size,
        single / (seconds - start),
        pipes / (seconds - start),
        median(samples, |sample| sample.tool_cpu) / millions,
        median(samples, |sample| sample.target_cpu) / millions,
        median(samples, |sample| sample.peak),
    );
}

/// What was measured of one case.
#[derive(Debug, Default)]
struct Samples {
    tools: Vec<Sample>,
    pipes: Vec<Sample>,
    /// Dragonfly replicas.
    natives: Vec<Sample>,
    /// Replicas that throw everything away.
    readers: Vec<Sample>,
}

/// Interleaved; the tool and the pipe are first in every other round. A replica begins with a snapshot, so it is measured with
/// those alone.
fn measure(bench: &Bench<'_>, flags: &Flags) -> Result<()> {
    let mut samples = Samples::default();
    for round in 0..flags.rounds.max(1) {
        if let Some(program) = flags.dragonfly.as_deref().filter(|_| bench.case.is_snapshot()) {
            samples.natives.push(bench.native(program, flags.flows)?);
            samples.readers.push(bench.discarding()?);
        }
        if round % 2 == 0 {
            samples.tools.push(bench.tool()?);
            samples.pipes.push(bench.pipe()?);
        } else {
            samples.pipes.push(bench.pipe()?);
            samples.tools.push(bench.tool()?);
        }
    }
    show(bench, &samples);
    Ok(())
}

fn show(bench: &Bench<'_>, Samples { tools, pipes, natives, readers }: &Samples) {
    let seconds = median(tools, |sample| sample.seconds);
    let start = median(tools, |sample| sample.start);
    let piped = median(pipes, |sample| sample.seconds);
    let if_any = |samples: &[Sample]| match samples {
        [] => "-".to_owned(),
        samples => format!("{:.2}", median(samples, |sample| sample.seconds)),
    };
    let millions = f64::from(bench.size) / 1e6;
    println!(
        "{:38} {:>9} {seconds:>7.2} {start:>7.2} {piped:>7.2} {:>6.2} {:>5.2} {:>8} {:>8} | {:>9.2} {:>9.1} | {:>8.2} {:>8.2} {:>8.2} {:>4.0}%",
        bench.case.name(),
        bench.size,
        piped / (seconds - start),
        bench.case.aim(),
        if_any(natives),
        if_any(readers),
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
    rig::median(samples.iter().map(of).collect())
}
