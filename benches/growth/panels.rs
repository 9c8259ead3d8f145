//! What the picture of a series shows: panels one below the other, over the same axis.

use std::time::Duration;

use redis_sink::WindowLimits;

use crate::axis::Axis;
use crate::points::{Curve, Point};
use crate::series::Series;

/// A point of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct At {
    pub x: f64,
    pub y: f64,
}

/// One panel.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Panel {
    pub y: Axis,
    pub line: Vec<At>,
    /// From the least to the most of the rounds, where that is known.
    pub spread: Vec<[At; 2]>,
    pub bound: Option<Bound>,
}

/// What cannot be exceeded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bound {
    pub name: String,
    pub line: Vec<At>,
}

/// A figure of a point.
type Figure = fn(&Point) -> f64;

/// The axis of what grows.
pub(crate) fn growing(curve: &Curve) -> Axis {
    let xs: Vec<f64> = curve.points.iter().map(|point| point.x).collect();
    match curve.series {
        Series::Keys => Axis::factors("keys", &xs),
        Series::Flows => Axis::factors("flows", &xs),
        Series::Values => Axis::factors("size of a value (bytes)", &xs),
        Series::RoundTrip => Axis::linear("round trip to the target (ms)", &xs),
    }
}

/// Throughput, CPU time and memory.
pub(crate) fn panels(curve: &Curve) -> [Panel; 3] {
    let cpu_per_key: Figure = |point| point.tool_cpu_seconds_per_million_keys;
    let memory = panel(curve, "peak memory (MiB)", Axis::linear, |point| point.tool_peak_mib);
    match curve.series {
        Series::Values => [
            rate(curve, "throughput (MB/s)", Axis::decades, |point| point.mb_per_second),
            panel(curve, "CPU (s per GB)", Axis::decades, |point| point.tool_cpu_seconds_per_gb),
            memory,
        ],
        Series::Keys | Series::Flows => [
            rate(curve, "throughput (keys/s)", Axis::linear, |point| point.keys_per_second),
            panel(curve, "CPU (s per million keys)", Axis::linear, cpu_per_key),
            memory,
        ],
        Series::RoundTrip => {
            let rate = rate(curve, "throughput (MB/s)", Axis::linear, |point| point.mb_per_second);
            let bound = window_by_round_trip(curve, &rate.y);
            [
                Panel { bound, ..rate },
                panel(curve, "CPU (s per million keys)", Axis::linear, cpu_per_key),
                memory,
            ]
        }
    }
}

fn panel(curve: &Curve, title: &str, axis: fn(&str, &[f64]) -> Axis, of: Figure) -> Panel {
    let line: Vec<At> = curve.points.iter().map(|point| At { x: point.x, y: of(point) }).collect();
    let values: Vec<f64> = line.iter().map(|at| at.y).collect();
    Panel { y: axis(title, &values), line, spread: Vec::new(), bound: None }
}

/// A panel of a figure that is in proportion to the rate of keys.
fn rate(curve: &Curve, title: &str, axis: fn(&str, &[f64]) -> Axis, of: Figure) -> Panel {
    let ends = |point: &Point| {
        let scale = of(point) / point.keys_per_second;
        point.keys_per_second_range.map(|rate| At { x: point.x, y: rate * scale })
    };
    let spread: Vec<[At; 2]> = curve.points.iter().map(ends).collect();
    let values: Vec<f64> = spread.iter().flatten().map(|at| at.y).collect();
    Panel { y: axis(title, &values), spread, ..panel(curve, title, axis, of) }
}

/// What the windows of all flows allow, where the axis reaches it.
fn window_by_round_trip(curve: &Curve, y: &Axis) -> Option<Bound> {
    let longest = curve.points.iter().map(|point| point.x).fold(0.0, f64::max);
    let tenths = (1..).map(|nth: u32| f64::from(nth) / 10.0).take_while(|millis| *millis <= longest);
    let at = |millis| At { x: millis, y: windows_by_round_trip(curve.flows, millis) };
    let line: Vec<At> = tenths.map(at).filter(|at| y.reaches(at.y)).collect();
    let name = "window / round trip (MB/s of commands)".to_owned();
    (!line.is_empty()).then_some(Bound { name, line })
}

/// The default of `--memory-limit`, in bytes.
const MEMORY: usize = 256 << 20;

/// Which part of a flow's share of the memory its window may be (`dfly-replica/src/memory_budget.rs`).
const PART: usize = 32;

/// Megabytes a second if the window of each flow is sent once in a round trip of so many milliseconds. Keys and values are the
/// most of it.
pub(crate) fn windows_by_round_trip(flows: u16, millis: f64) -> f64 {
    let most = MEMORY / usize::from(flows.max(1)) / PART;
    let window = WindowLimits::default().for_round_trip(Duration::from_secs_f64(millis / 1e3), most);
    let bytes = f64::from(u32::try_from(window.bytes).unwrap_or(u32::MAX));
    bytes * f64::from(flows) / 1e3 / millis
}
