//! A picture as SVG. It stretches to the width that there is; its colours are those of the style sheet.

use plotters::prelude::*;

use crate::view::plots::Plot;

/// Units of the picture. Lines keep their width when it is stretched.
const SIZE: (u32, u32) = (600, 150);

/// Stand for colours of the style sheet, which has a light and a dark one for each.
const LINES: [(RGBColor, &str); 2] =
    [(RGBColor(1, 1, 1), "stroke=\"#010101\""), (RGBColor(1, 1, 2), "stroke=\"#010102\"")];

const FILL: (RGBColor, &str) = (RGBColor(1, 1, 3), "fill=\"#010103\"");

const GRID: (RGBColor, &str) = (RGBColor(1, 1, 4), "stroke=\"#010104\"");

/// At which shares of the height there is a line.
const GRID_AT: [f64; 3] = [0.0, 0.5, 1.0];

/// The picture; empty if there is nothing to draw.
pub(super) fn svg(plot: &Plot) -> String {
    let mut out = String::new();
    if draw(plot, &mut out).is_err() {
        return String::new();
    }
    styled(&out)
}

fn draw(plot: &Plot, out: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(out, SIZE).into_drawing_area();
    let points = plot.lines.iter().map(|line| line.points.len()).max().unwrap_or(0).max(2);
    let mut chart = ChartBuilder::on(&root)
        .margin_top(2)
        .margin_bottom(2)
        .build_cartesian_2d(0..points - 1, 0.0..plot.top)?;
    for share in GRID_AT {
        let at = plot.top * share;
        chart.draw_series([PathElement::new([(0, at), (points - 1, at)], GRID.0)])?;
    }
    for (nth, line) in plot.lines.iter().enumerate() {
        let (color, _) = LINES.get(nth).copied().unwrap_or(LINES[0]);
        for run in runs(&line.points) {
            if nth == 0 {
                chart.draw_series(AreaSeries::new(run.iter().copied(), 0.0, FILL.0))?;
            }
            chart.draw_series(LineSeries::new(run, color.stroke_width(2)))?;
        }
    }
    root.present()?;
    Ok(())
}

/// The parts of a line that have no gap.
fn runs(points: &[Option<f64>]) -> Vec<Vec<(usize, f64)>> {
    let placed: Vec<(usize, Option<f64>)> = points.iter().copied().enumerate().collect();
    let runs = placed.split(|(_, value)| value.is_none()).filter(|run| !run.is_empty());
    runs.map(|run| visible(run.iter().filter_map(|(at, value)| Some((*at, (*value)?))).collect())).collect()
}

/// A line has two points. One value alone is a short line that ends at it.
fn visible(mut run: Vec<(usize, f64)>) -> Vec<(usize, f64)> {
    if let [(at, value)] = run[..] {
        run.insert(0, (at.saturating_sub(1), value));
    }
    run
}

/// Without the size, with names instead of colours.
fn styled(svg: &str) -> String {
    let body = svg.find('>').and_then(|end| svg.get(end + 1..)).unwrap_or_default();
    let (width, height) = SIZE;
    let head =
        format!("<svg viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    let named = [
        (LINES[0].1, "class=\"line first\""),
        (LINES[1].1, "class=\"line second\""),
        (FILL.1, "class=\"area\""),
        (GRID.1, "class=\"grid\""),
    ];
    named.into_iter().fold(format!("{head}{}", body.trim()), |svg, (color, name)| svg.replace(color, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::examples::followed;
    use crate::view::plots::{Range, plots};

    #[test]
    fn colours_are_names_of_the_style_sheet() {
        let mut seen = followed(10);
        for (nth, sample) in seen.history.iter_mut().enumerate() {
            sample.at = i64::try_from(nth).unwrap() * 1000;
        }
        for plot in plots(&seen, Range::Minutes).iter().take(2) {
            let svg = svg(plot);
            assert!(svg.starts_with("<svg viewBox=") && svg.ends_with("</svg>"), "{svg}");
            assert!(svg.contains("class=\"grid\"") && !svg.contains("#0101"), "{svg}");
            assert!(!svg.contains("style=") && !svg.contains("<text"), "{svg}");
        }
    }

    #[test]
    fn a_gap_is_left_open() {
        let runs = runs(&[None, Some(1.0), Some(2.0), None, None, Some(3.0)]);
        assert_eq!(runs, [vec![(1, 1.0), (2, 2.0)], vec![(4, 3.0), (5, 3.0)]]);
    }
}
