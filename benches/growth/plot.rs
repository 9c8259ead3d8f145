//! The picture of a series as SVG, for a page with a light background.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::axis::Axis;
use crate::panels::{At, Panel, growing, panels};
use crate::points::{Curve, Measured};
use crate::series::Series;

const WIDTH: u32 = 720;
const CAPTION: u32 = 40;
const PANEL: u32 = 210;

const FONT: &str = "sans-serif";
const LINE: RGBColor = RGBColor(31, 94, 168);
const BOUND: RGBColor = RGBColor(176, 74, 24);
const GRID: RGBColor = RGBColor(222, 222, 222);
const TEXT: RGBColor = RGBColor(40, 40, 40);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The picture of one series of `measured`.
pub(crate) fn svg(curve: &Curve, measured: &Measured) -> Result<String> {
    let mut out = String::new();
    draw(curve, &caption(curve, measured), &mut out).map_err(|error| anyhow!("{error}"))?;
    Ok(out)
}

fn caption(curve: &Curve, measured: &Measured) -> String {
    let data = match curve.series {
        Series::Keys => "More keys with 100 bytes each",
        Series::Flows => "More flows for a million keys",
        Series::Values => "Larger values",
        Series::RoundTrip => "A longer round trip",
    };
    let flows = match (curve.series, curve.flows) {
        (Series::Flows, _) => String::new(),
        (_, 1) => " with one flow".to_owned(),
        (_, flows) => format!(" with {flows} flows"),
    };
    let rounds = match measured.rounds {
        1 => "One round.".to_owned(),
        rounds => format!("Medians of {rounds}."),
    };
    let look = if measured.divide > 1 { " A look, with fewer keys." } else { "" };
    format!("{data}. Source: {}{flows}. {rounds}{look}", curve.source)
}

fn draw(curve: &Curve, caption: &str, out: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let panels = panels(curve);
    let (x, size) = (growing(curve), (WIDTH, CAPTION + PANEL * 3));
    let root = SVGBackend::with_string(out, size).into_drawing_area();
    root.fill(&WHITE)?;
    let style = TextStyle::from((FONT, 15).into_font()).color(&TEXT);
    root.draw(&Text::new(caption.to_owned(), (14, 14), style))?;
    let (_, below) = root.split_vertically(CAPTION);
    for (panel, area) in panels.iter().zip(below.split_evenly((3, 1))) {
        draw_panel(&area, &x, panel)?;
    }
    root.present()?;
    drop(below);
    Ok(())
}

fn draw_panel(area: &Area<'_>, x: &Axis, panel: &Panel) -> Result<(), Box<dyn std::error::Error>> {
    let mut chart = ChartBuilder::on(area)
        .margin_left(8)
        .margin_right(24)
        .margin_top(6)
        .x_label_area_size(46)
        .y_label_area_size(74)
        .build_cartesian_2d(x.clone(), panel.y.clone())?;
    chart
        .configure_mesh()
        .x_desc(&x.title)
        .y_desc(&panel.y.title)
        .label_style((FONT, 13).into_font().color(&TEXT))
        .axis_desc_style((FONT, 14).into_font().color(&TEXT))
        .bold_line_style(GRID)
        .light_line_style(GRID)
        .axis_style(TEXT)
        .draw()?;
    let at = |point: &At| (point.x, point.y);
    if let Some(bound) = &panel.bound {
        let line = LineSeries::new(bound.line.iter().map(at), BOUND.stroke_width(1));
        chart
            .draw_series(line)?
            .label(bound.name.as_str())
            .legend(|(left, top)| PathElement::new([(left, top), (left + 18, top)], BOUND));
        let style = (FONT, 13).into_font().color(&TEXT);
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .label_font(style)
            .border_style(GRID)
            .background_style(WHITE)
            .draw()?;
    }
    for ends in &panel.spread {
        chart.draw_series([PathElement::new(ends.each_ref().map(at), LINE.stroke_width(1))])?;
    }
    chart.draw_series(LineSeries::new(panel.line.iter().map(at), LINE.stroke_width(2)))?;
    chart.draw_series(panel.line.iter().map(|point| Circle::new(at(point), 3, LINE.filled())))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panels::windows_by_round_trip;
    use crate::points::{Point, Round};

    fn measured(series: Series) -> Measured {
        let round = |share| Round {
            seconds: 1.3,
            before_data: 0.1,
            share_per_second: share,
            tool_cpu: 0.5,
            peak: 30.0,
        };
        let point = |place: &u32| {
            let data = series.data(*place, 1);
            Point::of(f64::from(*place), data, &[round(0.8), round(0.9), round(0.85)])
        };
        let points = series.places().iter().map(point).collect();
        let curve = Curve { series, source: "a live Dragonfly".to_owned(), flows: 2, points };
        Measured { rounds: 3, divide: 1, processors: 2, series: vec![curve] }
    }

    fn drawn(series: Series) -> String {
        let measured = Measured::read(&measured(series).text().unwrap()).unwrap();
        svg(&measured.series[0], &measured).unwrap()
    }

    #[test]
    fn axes_and_units_are_named() {
        let memory = "peak memory (MiB)";
        for (series, titles) in [
            (Series::Keys, ["keys", "throughput (keys/s)", "CPU (s per million keys)", memory]),
            (Series::Flows, ["flows", "throughput (keys/s)", "CPU (s per million keys)", memory]),
            (Series::Values, ["size of a value (bytes)", "throughput (MB/s)", "CPU (s per GB)", memory]),
            (
                Series::RoundTrip,
                ["round trip to the target (ms)", "throughput (MB/s)", "CPU (s per million keys)", memory],
            ),
        ] {
            let svg = drawn(series);
            let texts: Vec<&str> = svg.lines().map(str::trim).collect();
            for title in titles {
                assert!(texts.contains(&title), "{title} is not in {svg}");
            }
        }
    }

    #[test]
    fn every_place_has_a_point_in_each_panel_and_a_label() {
        let svg = drawn(Series::Keys);
        assert_eq!(svg.matches("<circle").count(), 3 * 3, "{svg}");
        for label in ["1 M", "4 M", "16 M"] {
            assert_eq!(svg.lines().filter(|line| line.trim() == label).count(), 3, "{label} in {svg}");
        }
        assert!(svg.contains("Source: a live Dragonfly with 2 flows. Medians of 3."), "{svg}");
    }

    #[test]
    fn the_window_by_the_round_trip_is_drawn_where_it_matters() {
        // Two flows: 4 MiB each at 50 ms, which is more than their rate; 1 MiB and 200 kB each at 1 ms.
        assert!((windows_by_round_trip(2, 50.0) - 167.772).abs() < 0.001);
        assert!((windows_by_round_trip(2, 1.0) - 2497.152).abs() < 0.001);
        let mut measured = measured(Series::RoundTrip);
        let curve = &mut measured.series[0];
        assert_eq!(panels(curve)[0].bound, None);
        // Ten times as fast as that.
        for point in &mut curve.points {
            point.mb_per_second *= 10.0;
        }
        assert!(panels(curve)[0].bound.as_ref().is_some_and(|bound| !bound.line.is_empty()));
        let svg = svg(&measured.series[0], &measured).unwrap();
        assert!(svg.contains("window / round trip (MB/s of commands)"), "{svg}");
        assert!(!drawn(Series::Flows).contains("window"));
    }
}
