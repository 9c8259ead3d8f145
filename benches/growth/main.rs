//! How do throughput, CPU time and memory of the release binary grow with the number of keys, the number of flows, the size of a
//! value and the round trip to the target?
//!
//! Expected: CPU time for a key and throughput stay within 20 % from 1 to 16 million keys and from 1 to 64 flows, and memory
//! grows with neither. Small values cost by the key, large ones by the byte. The round trip does not matter until a window of a
//! flow is under way all the time: throughput is then the window by the round trip.
//!
//! `growth measure` copies snapshots, from a live Dragonfly or from the scripted master, into a Redis of its own, and writes
//! medians to a file. Rates are those while data flows: neither the start of the tool nor the time in which a scripted master
//! makes its snapshot is in them. A Dragonfly does not compress its snapshot, so the tool reads the bytes of the data, at the
//! pace of the tool. `growth plot` draws that file, one picture for each series. A round trip is added by a proxy of this
//! program, which takes processor time as well; it is there with a round trip of 0, too.

#![expect(clippy::print_stdout, reason = "a table is what this program is for")]

mod axis;
mod data;
mod delayed_line;
mod delaying_proxy;
mod measure;
mod panels;
mod plot;
mod points;
mod series;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use df2redis_benches::rig::source::Source;

use measure::{Bench, Delays};
use points::{Curve, Measured, Point};
use series::Series;

/// Measures how the cost of the release binary grows.
#[derive(Debug, Parser)]
enum Flags {
    /// Measures, and writes a file.
    Measure(Box<How>),
    /// Draws a file: a picture for each series.
    Plot {
        /// What was written by `measure`.
        file: PathBuf,
        /// Where the pictures go.
        folder: PathBuf,
    },
}

/// What is measured, and how often.
#[derive(Debug, clap::Args)]
struct How {
    /// Only these series.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Series>,
    /// How often each point is measured; medians are written.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Numbers of keys are divided by this, for a look.
    #[arg(long, default_value_t = 1)]
    divide: u32,
    /// A Dragonfly binary; without it the source is the scripted master, which holds no more than 4 million keys.
    #[arg(long)]
    dragonfly: Option<PathBuf>,
    /// The Dragonfly compresses its snapshot, as it does unless it is told otherwise; then it is often the source that sets the
    /// pace.
    #[arg(long)]
    compressed: bool,
    /// How many flows the source has, where it is not they that grow.
    #[arg(long, default_value_t = 1)]
    flows: u16,
    /// The round trip is added between the source and the tool as well.
    #[arg(long)]
    also_source: bool,
    /// The tool; the default is the one beside this program.
    #[arg(long)]
    tool: Option<PathBuf>,
    /// The file that is written.
    #[arg(long)]
    out: PathBuf,
}

fn main() -> Result<()> {
    match Flags::parse() {
        Flags::Measure(how) => measure(&how),
        Flags::Plot { file, folder } => draw(&file, &folder),
    }
}

fn measure(how: &How) -> Result<()> {
    let chosen = |series: &Series| how.only.is_empty() || how.only.contains(series);
    let mut measured = Measured {
        rounds: how.rounds.max(1),
        divide: how.divide.max(1),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        series: Vec::new(),
    };
    println!(
        "{:>10} {:>11} {:>9} {:>8} {:>11} {:>8} {:>10} {:>8} {:>9}",
        "", "x", "keys", "s", "keys/s", "MB/s", "CPU s/M", "CPU s/GB", "peak MiB"
    );
    for series in Series::ALL.into_iter().filter(chosen) {
        measured.series.push(how.curve(series)?);
        // What there is stays if a later series fails.
        fs::write(&how.out, measured.text()?).with_context(|| how.out.display().to_string())?;
    }
    Ok(())
}

impl How {
    fn curve(&self, series: Series) -> Result<Curve> {
        let program = self.dragonfly.as_deref().filter(|_| !series.is_scripted());
        let source = match program {
            Some(_) if self.compressed => "a live Dragonfly",
            Some(_) => "a live Dragonfly (no compression)",
            None => "the scripted master",
        };
        let mut curve = Curve { series, source: source.to_owned(), flows: self.flows, points: Vec::new() };
        for &place in series.places() {
            let data = series.data(place, self.divide);
            if !Series::fits(data, program.is_some()) {
                println!("{:>10} {place:>11}: too many keys for the scripted master", series.name());
                continue;
            }
            let point = self.point(series, place, program);
            let point = point.with_context(|| format!("{} {place}", series.name()))?;
            show(series, &point);
            curve.points.push(point);
        }
        Ok(curve)
    }

    fn point(&self, series: Series, place: u32, program: Option<&Path>) -> Result<Point> {
        let beside = std::env::current_exe()?.with_file_name("df2redis-cli");
        let tool = self.tool.as_deref().unwrap_or(&beside);
        let data = series.data(place, self.divide);
        let flows = if series == Series::Flows { u16::try_from(place)? } else { self.flows };
        let source = match program {
            Some(program) if self.compressed => Source::live(program, flows, &[])?,
            Some(program) => Source::live(program, flows, &["--compression_mode=0"])?,
            None => Source::scripted(flows)?,
        };
        let bench = Bench::prepare(tool, source, data, self.delays(series, place))?;
        let rounds = (0..self.rounds.max(1)).map(|_round| bench.round()).collect::<Result<Vec<_>>>()?;
        let x = if series == Series::Keys { data.keys } else { place };
        Ok(Point::of(f64::from(x), data, &rounds))
    }

    fn delays(&self, series: Series, place: u32) -> Delays {
        let target = (series == Series::RoundTrip).then(|| Duration::from_millis(place.into()));
        Delays { target, source: target.filter(|_| self.also_source) }
    }
}

fn show(series: Series, point: &Point) {
    println!(
        "{:>10} {:>11} {:>9} {:>8.2} {:>11.0} {:>8.1} {:>10.3} {:>8.3} {:>9.1}",
        series.name(),
        point.x,
        point.keys,
        point.seconds,
        point.keys_per_second,
        point.mb_per_second,
        point.tool_cpu_seconds_per_million_keys,
        point.tool_cpu_seconds_per_gb,
        point.tool_peak_mib,
    );
}

fn draw(file: &Path, folder: &Path) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let measured = Measured::read(&text)?;
    fs::create_dir_all(folder)?;
    for curve in &measured.series {
        let picture = folder.join(curve.series.name()).with_extension("svg");
        fs::write(&picture, plot::svg(curve, &measured)?).with_context(|| picture.display().to_string())?;
        println!("{}", picture.display());
    }
    Ok(())
}
