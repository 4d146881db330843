//! `loss.png`: the loss by step, and validation figures on an axis of their own.

use std::io::Write as _;
use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::sync::OnceLock;

use image::ImageEncoder as _;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use vcp_files::Durability;

use super::series::{Point, axis, smooth, thin};
use super::{Error, Record};

/// Under which name the drawing library keeps the font.
const FONT: &str = "vcp-train DejaVu Sans";
/// Sides of the picture, in pixels: below, the labels do not fit.
const SIDES: RangeInclusive<u32> = 320..=8192;
/// Figures drawn when none are named.
const MOST_FIGURES: usize = 3;
/// Characters of a figure's name in the legend.
const LONGEST_NAME: usize = 32;
/// Values beyond this are left out, as are those that are not finite: room for sums and margins.
const LARGEST_VALUE: f64 = 1e100;

const TOTAL: RGBColor = RGBColor(0, 90, 181);
const BRANCH1: RGBColor = RGBColor(220, 105, 0);
const BRANCH2: RGBColor = RGBColor(0, 140, 90);
const FIGURES: [RGBColor; MOST_FIGURES] = [
    RGBColor(170, 30, 110),
    RGBColor(90, 90, 90),
    RGBColor(120, 80, 200),
];
const GRID: RGBColor = RGBColor(225, 225, 225);
const INK: RGBColor = RGBColor(40, 40, 40);

/// How the chart of the loss looks.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartOptions {
    /// Width in pixels, from 320 to 8192.
    pub width: u32,
    /// Height in pixels, from 320 to 8192.
    pub height: u32,
    /// How much of each point comes from those before, at least 0 (as measured) and below 1. The
    /// values as measured stay visible, faintly. Validation figures are not smoothed.
    pub smoothing: f64,
    /// The validation figures to draw; empty for the first three by name.
    pub figures: Vec<String>,
}

impl Default for ChartOptions {
    fn default() -> Self {
        Self {
            width: 1200,
            height: 700,
            smoothing: 0.6,
            figures: Vec::new(),
        }
    }
}

impl ChartOptions {
    fn check(&self) -> Result<(), Error> {
        let wrong = |option, found: String, expected| {
            Err(Error::ChartOption {
                option,
                found,
                expected,
            })
        };
        for (option, side) in [("width", self.width), ("height", self.height)] {
            if !SIDES.contains(&side) {
                return wrong(option, side.to_string(), "from 320 to 8192 pixels");
            }
        }
        if !(0.0..1.0).contains(&self.smoothing) {
            let found = self.smoothing.to_string();
            return wrong("smoothing", found, "at least 0 and below 1");
        }
        Ok(())
    }
}

/// Draws the loss of all records (total and both branches, left axis) and their validation figures
/// (right axis) by step, as a PNG picture. It is written beside and renamed, so whoever looks at
/// `path` sees a whole picture, the old or the new one. Without records the axes are drawn alone.
///
/// # Errors
/// [`Error::ChartOption`], [`Error::Chart`], [`Error::Io`].
pub fn write_loss_chart(
    path: &Path,
    records: &[Record],
    options: &ChartOptions,
) -> Result<(), Error> {
    options.check()?;
    let failed = |reason: String| Error::Chart {
        file: path.to_owned(),
        reason,
    };
    if !font_is_registered() {
        return Err(failed("its font is not usable".to_owned()));
    }
    let curves = Curves::new(records, options);
    let (width, height) = (options.width, options.height);
    let mut pixels = vec![0; width as usize * height as usize * 3];
    {
        let root = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        draw(&root, &curves).map_err(|error| failed(error.to_string()))?;
    }
    let mut png = Vec::new();
    image::codecs::png::PngEncoder::new(&mut png)
        .write_image(&pixels, width, height, image::ExtendedColorType::Rgb8)
        .map_err(|error| failed(error.to_string()))?;
    vcp_files::write(path, Durability::Fast, |file| file.write_all(&png))
        .map_err(Error::io(path, "written"))
}

fn font_is_registered() -> bool {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    *REGISTERED.get_or_init(|| {
        plotters::style::register_font(FONT, FontStyle::Normal, dejavu::sans::regular()).is_ok()
    })
}

struct Curve {
    name: String,
    color: RGBColor,
    /// As measured; for the loss drawn faintly, behind.
    measured: Vec<Point>,
    /// As drawn.
    shown: Vec<Point>,
}

struct Curves {
    loss: Vec<Curve>,
    figures: Vec<Curve>,
}

impl Curves {
    fn new(records: &[Record], options: &ChartOptions) -> Self {
        // More points than this cannot be told apart.
        let limit = options.width as usize * 2;
        let points = |value: &dyn Fn(&Record) -> Option<f64>| -> Vec<Point> {
            records
                .iter()
                .filter_map(|record| Some((record.step as f64, value(record)?)))
                .filter(|(_, value)| value.abs() <= LARGEST_VALUE)
                .collect()
        };
        let loss = |name: &str, color, value: &dyn Fn(&Record) -> Option<f64>| {
            let measured = points(value);
            Curve {
                name: name.to_owned(),
                color,
                shown: thin(&smooth(&measured, options.smoothing), limit),
                measured: thin(&measured, limit),
            }
        };
        let mut names: Vec<&String> = options.figures.iter().collect();
        if names.is_empty() {
            names = records.iter().flat_map(|r| r.validation.keys()).collect();
            names.sort_unstable();
            names.dedup();
            names.truncate(MOST_FIGURES);
        }
        let figures = names.into_iter().zip(FIGURES.into_iter().cycle());
        let figures = figures.map(|(name, color)| {
            let shown = points(&|record| record.validation.get(name).copied());
            Curve {
                name: name.chars().take(LONGEST_NAME).collect(),
                color,
                measured: Vec::new(),
                shown: thin(&shown, limit),
            }
        });
        let mut all = Self {
            loss: vec![
                // The last one drawn lies on top; the legend names them the other way round.
                loss("branch 2", BRANCH2, &|record| record.branch2),
                loss("branch 1", BRANCH1, &|record| record.branch1),
                loss("loss", TOTAL, &|record| record.loss),
            ],
            figures: figures.collect(),
        };
        all.loss.retain(|curve| !curve.shown.is_empty());
        all.figures.retain(|curve| !curve.shown.is_empty());
        all
    }
}

type Area<'a, 'b> = DrawingArea<BitMapBackend<'b>, Shift>;
type DrawError<'b> = DrawingAreaErrorKind<<BitMapBackend<'b> as DrawingBackend>::ErrorType>;

fn draw<'b>(root: &Area<'_, 'b>, curves: &Curves) -> Result<(), DrawError<'b>> {
    root.fill(&WHITE)?;
    let (legend, plot) = root.split_vertically(44);
    draw_legend(&legend, curves)?;

    let all = || curves.loss.iter().chain(&curves.figures);
    let steps = all().flat_map(|curve| curve.shown.iter().map(|point| point.0));
    let loss = curves
        .loss
        .iter()
        .flat_map(|c| c.measured.iter().chain(&c.shown));
    let figures = curves.figures.iter().flat_map(|curve| &curve.shown);
    let x = exact(steps);
    let left = axis(loss.map(|point| point.1), 0.0..f64::INFINITY);
    let right = axis(figures.map(|point| point.1), 0.0..1.0);

    let font = (FONT, 18).into_font().color(&INK);
    let right_width = if curves.figures.is_empty() { 24 } else { 76 };
    let mut chart = ChartBuilder::on(&plot)
        .margin(10)
        .x_label_area_size(52)
        .y_label_area_size(76)
        .right_y_label_area_size(right_width)
        .build_cartesian_2d(x.clone(), left.clone())?
        .set_secondary_coord(x.clone(), right.clone());
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style(font.clone())
        .x_labels(10)
        .y_labels(8)
        .x_desc("step")
        .y_desc("loss")
        .x_label_formatter(&|step| mark(*step, &x))
        .y_label_formatter(&|value| mark(*value, &left))
        .draw()?;
    if !curves.figures.is_empty() {
        chart
            .configure_secondary_axes()
            .axis_style(INK)
            .label_style(font)
            .y_labels(8)
            .y_desc("validation")
            .y_label_formatter(&|value| mark(*value, &right))
            .draw()?;
    }
    for curve in &curves.loss {
        let style = curve.color.mix(0.25).stroke_width(1);
        chart.draw_series(LineSeries::new(curve.measured.iter().copied(), style))?;
    }
    for curve in &curves.loss {
        let style = curve.color.stroke_width(2);
        chart.draw_series(LineSeries::new(curve.shown.iter().copied(), style))?;
    }
    for curve in &curves.figures {
        let style = curve.color.stroke_width(2);
        chart.draw_secondary_series(LineSeries::new(curve.shown.iter().copied(), style))?;
        chart.draw_secondary_series(
            curve
                .shown
                .iter()
                .map(|point| Circle::new(*point, 4, curve.color.filled())),
        )?;
    }
    root.present()
}

/// A row above the plot, where it hides nothing.
fn draw_legend<'b>(area: &Area<'_, 'b>, curves: &Curves) -> Result<(), DrawError<'b>> {
    let middle = Pos::new(HPos::Left, VPos::Center);
    let style = (FONT, 20).into_font().color(&INK).pos(middle);
    let (mut x, y) = (86, 26);
    for (curve, is_figure) in (curves.loss.iter().rev().map(|curve| (curve, false)))
        .chain(curves.figures.iter().map(|curve| (curve, true)))
    {
        let line = curve.color.stroke_width(3);
        area.draw(&PathElement::new(vec![(x, y), (x + 28, y)], line))?;
        if is_figure {
            area.draw(&Circle::new((x + 14, y), 5, curve.color.filled()))?;
        }
        area.draw(&Text::new(curve.name.clone(), (x + 36, y), style.clone()))?;
        let (width, _) = area.estimate_text_size(&curve.name, &style)?;
        x += 36 + width as i32 + 28;
    }
    Ok(())
}

/// The first to the last step; steps are not rounded outwards.
fn exact(steps: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = steps.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), step| {
        (low.min(step), high.max(step))
    });
    if low > high {
        return 0.0..1.0;
    }
    // Also where steps are so large that f64 cannot tell neighbours apart.
    low..high.max(low + (low * 1e-6).max(1.0))
}

/// An axis mark with as many decimals as marks a tenth of the range apart need.
fn mark(value: f64, range: &Range<f64>) -> String {
    let decimals = (1.0 - (range.end - range.start).log10().floor()).clamp(0.0, 9.0) as usize;
    if value.abs() >= 1e7 {
        return format!("{value:.2e}");
    }
    // What is zero but for rounding is not shown as "-0".
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(zero) if zero.chars().all(|c| matches!(c, '0' | '.')) => zero.to_owned(),
        _ => text,
    }
}
