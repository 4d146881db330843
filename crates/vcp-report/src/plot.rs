//! Curves and histograms as inline SVG.
//!
//! By hand: two kinds of plot are a page of code, take their colours from the page's style sheet (so
//! that they follow light, dark and paper) and can say what they show to people who do not see them.
//! Plotting libraries write fixed colours and no descriptions.

use maud::{Markup, html};

use crate::digits::number;
use crate::histogram::Histogram;
use crate::thin::thin;
use crate::{Category, Curve, Format};

/// Size of every plot, in units that are about a pixel.
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 250.0;
/// The frame within it.
const LEFT: f64 = 46.0;
const TOP: f64 = 8.0;
const RIGHT: f64 = WIDTH - 12.0;
const BOTTOM: f64 = HEIGHT - 36.0;

/// How far what is left out may lie from the drawn line: a fifth of a pixel.
const TOLERANCE: f64 = 0.2;
const MOST_POINTS: usize = 499;

/// One curve with its axes, as a figure.
pub(crate) fn curve(curve: &Curve, category: &str) -> Markup {
    let points: Vec<[f64; 2]> = curve
        .points
        .iter()
        .filter(|point| point.iter().all(|part| part.is_finite()))
        .map(|&[x, y]| [across(x.clamp(0.0, 1.0)), up(y.clamp(0.0, 1.0))])
        .collect();
    let drawn = thin(&points, TOLERANCE, MOST_POINTS);
    let description = format!(
        "{} of {category}: {} over {}. {}",
        curve.title,
        curve.y_label.to_lowercase(),
        curve.x_label.to_lowercase(),
        curve.note
    );
    html! {
        figure.plot {
            // The note's line is there even when empty, so that plots beside each other are level.
            figcaption { (curve.title) " " span.note { (curve.note) } }
            svg role="img" aria-label=(description.trim_end()) viewBox=(view_box()) {
                @if let Some(limit) = curve.x_limit.filter(|limit| (0.0..1.0).contains(limit)) {
                    rect.beyond x=(place(across(limit))) y=(TOP) width=(place(RIGHT - across(limit))) height=(BOTTOM - TOP) {}
                    line.limit x1=(place(across(limit))) y1=(TOP) x2=(place(across(limit))) y2=(BOTTOM) {}
                }
                @for step in 0..=5 {
                    @let share = f64::from(step) / 5.0;
                    (x_tick(across(share), &format!("{share:.1}")))
                    (y_tick(up(share), &format!("{share:.1}")))
                }
                (axis_names(&curve.x_label, &curve.y_label))
                @if curve.diagonal {
                    line.guess x1=(LEFT) y1=(BOTTOM) x2=(RIGHT) y2=(TOP) {}
                }
                @if drawn.is_empty() {
                    text.empty x=(f64::midpoint(LEFT, RIGHT)) y=(f64::midpoint(TOP, BOTTOM)) text-anchor="middle" { "undefined" }
                } @else {
                    polyline.curve points=(coordinates(&drawn)) {}
                }
                rect.frame x=(LEFT) y=(TOP) width=(RIGHT - LEFT) height=(BOTTOM - TOP) {}
            }
        }
    }
}

/// The image scores: normal ones upwards, anomalous ones downwards, each as shares of its own
/// number, so that few can be seen beside many. Nothing if there are no scores.
pub(crate) fn histogram(category: &Category) -> Option<Markup> {
    let threshold = category.score_threshold;
    let scores = (&category.normal_scores, &category.anomalous_scores);
    let histogram = Histogram::new(scores.0, scores.1, threshold)?;
    let sums = (
        histogram.normal.iter().sum::<usize>(),
        histogram.anomalous.iter().sum::<usize>(),
    );
    let share = |count: usize, sum: usize| count as f64 / sum.max(1) as f64;
    let shares = |counts: &[usize], sum| {
        counts
            .iter()
            .map(move |&count| share(count, sum))
            .collect::<Vec<_>>()
    };
    let up = shares(&histogram.normal, sums.0);
    let down = shares(&histogram.anomalous, sums.1);
    let largest = |shares: &[f64]| shares.iter().copied().fold(0.0, f64::max);
    // Each half is as high as its own largest bar asks for, but never quite flat.
    let (above, below) = (largest(&up), largest(&down));
    let total = above + below;
    let (above, below) = (above.max(total / 5.0), below.max(total / 5.0));
    let unit = (BOTTOM - TOP - 8.0) / (above + below);
    let zero = TOP + 4.0 + above * unit;
    let at = |value: f64| {
        LEFT + (value - histogram.low) / (histogram.high - histogram.low) * (RIGHT - LEFT)
    };
    let threshold_at = threshold.filter(|value| (histogram.low..=histogram.high).contains(value));
    let step = nice_step(above.max(below));
    let description = format!(
        "Image scores of {}: {} normal images upwards, {} anomalous images downwards, from {} to {}. {}",
        category.name,
        sums.0,
        sums.1,
        number(histogram.low, Format::Number),
        number(histogram.high, Format::Number),
        threshold.map_or_else(String::new, |value| format!(
            "Threshold {}.",
            number(value, Format::Number)
        )),
    );
    let bars = |shares: &[f64], counts: &[usize], class: &str, what: &str, upwards: bool| {
        html! {
            @for (bin, (&share, &count)) in shares.iter().zip(counts).enumerate().filter(|(_, (_, count))| **count > 0) {
                @let (start, end) = histogram.ends(bin);
                rect class=(class) x=(place(at(start))) width=(place(at(end) - at(start)))
                    y=(place(if upwards { zero - share * unit } else { zero })) height=(place(share * unit)) {
                    title { (count) " " (what) ", score " (number(start, Format::Number)) " to " (number(end, Format::Number)) }
                }
            }
        }
    };
    Some(html! {
        figure.plot {
            figcaption {
                "Image scores" " "
                span.note {
                    @if let Some(value) = threshold {
                        "threshold " (number(value, Format::Number))
                        @if threshold_at.is_none() { " (not in the picture)" }
                    } @else { "no threshold" }
                }
            }
            svg role="img" aria-label=(description.trim_end()) viewBox=(view_box()) {
                @for count in 1..=10 {
                    @let share = step * f64::from(count);
                    @if share <= above * 1.001 { (y_tick(zero - share * unit, &percent(share))) }
                    @if share <= below * 1.001 { (y_tick(zero + share * unit, &percent(share))) }
                }
                (y_tick(zero, "0 %"))
                @for tick in ticks(histogram.low, histogram.high) {
                    (x_tick(at(tick.0), &tick.1))
                }
                (bars(&up, &histogram.normal, "normal", "normal images", true))
                (bars(&down, &histogram.anomalous, "anomalous", "anomalous images", false))
                line.zero x1=(LEFT) y1=(place(zero)) x2=(RIGHT) y2=(place(zero)) {}
                @if let Some(value) = threshold_at {
                    line.threshold x1=(place(at(value))) y1=(TOP) x2=(place(at(value))) y2=(BOTTOM) {}
                }
                (axis_names("Image score", "Share of images"))
                rect.frame x=(LEFT) y=(TOP) width=(RIGHT - LEFT) height=(BOTTOM - TOP) {}
            }
            p.key {
                span { i.swatch.normal {} "normal, upwards (" (number(sums.0 as f64, Format::Count)) ")" } " "
                span { i.swatch.anomalous {} "anomalous, downwards (" (number(sums.1 as f64, Format::Count)) ")" }
                @if histogram.left_out > 0 {
                    " " span { (histogram.left_out) " skipped: not finite" }
                }
            }
        }
    })
}

fn across(share: f64) -> f64 {
    LEFT + share * (RIGHT - LEFT)
}

fn up(share: f64) -> f64 {
    BOTTOM - share * (BOTTOM - TOP)
}

fn view_box() -> String {
    format!("0 0 {WIDTH} {HEIGHT}")
}

/// A coordinate, to a hundredth of a pixel.
fn place(value: f64) -> String {
    format!("{value:.2}")
}

fn coordinates(points: &[[f64; 2]]) -> String {
    let points: Vec<String> = points
        .iter()
        .map(|[x, y]| format!("{x:.2},{y:.2}"))
        .collect();
    points.join(" ")
}

fn x_tick(x: f64, label: &str) -> Markup {
    html! {
        line.grid x1=(place(x)) y1=(TOP) x2=(place(x)) y2=(BOTTOM) {}
        text x=(place(x)) y=(BOTTOM + 14.0) text-anchor="middle" { (label) }
    }
}

fn y_tick(y: f64, label: &str) -> Markup {
    html! {
        line.grid x1=(LEFT) y1=(place(y)) x2=(RIGHT) y2=(place(y)) {}
        text x=(LEFT - 5.0) y=(place(y + 3.5)) text-anchor="end" { (label) }
    }
}

fn axis_names(x: &str, y: &str) -> Markup {
    let middle = f64::midpoint(TOP, BOTTOM);
    html! {
        text.axis x=(f64::midpoint(LEFT, RIGHT)) y=(HEIGHT - 6.0) text-anchor="middle" { (x) }
        text.axis x="0" y="0" text-anchor="middle" transform=(format!("translate(10 {middle}) rotate(-90)")) { (y) }
    }
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 1.0 || percent == 0.0 {
        format!("{percent:.0} %")
    } else {
        format!("{percent:.1} %")
    }
}

/// The largest of 1, 2 or 5 times a power of ten of which at least two fit into `length`.
fn nice_step(length: f64) -> f64 {
    let half = (length / 2.0).max(f64::MIN_POSITIVE);
    let power = 10.0_f64.powf(half.log10().floor());
    let factors = [5.0, 2.0, 1.0].map(|factor| factor * power);
    factors
        .into_iter()
        .find(|step| *step <= half * 1.000_001)
        .unwrap_or(power)
}

/// Round values between two ends, and how to write them.
fn ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let step = nice_step((high - low) / 1.5);
    let first = (low / step).ceil();
    // So wide a scale that its round values are not numbers any more, or so narrow a one that they
    // cannot be told apart.
    if !first.is_finite() || first.abs() > 1e9 {
        return Vec::new();
    }
    let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    (0..12)
        .map(|count| (first + f64::from(count)) * step)
        .take_while(|tick| *tick <= high + step * 1e-9)
        .map(|tick| {
            let label = if (1e-4..1e5).contains(&step) {
                format!("{:.*}", decimals, tick + 0.0)
            } else {
                format!("{tick:.1e}")
            };
            (tick, label)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        let labels = |low, high| -> Vec<String> {
            ticks(low, high).into_iter().map(|tick| tick.1).collect()
        };
        assert_eq!(labels(0.0, 1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(0.13, 0.31), ["0.15", "0.20", "0.25", "0.30"]);
        assert_eq!(labels(-5.0, 5.0), ["-4", "-2", "0", "2", "4"]);
        for (low, high) in [
            (0.0, 1e-9),
            (1e9, 1.001e9),
            (-1e38, 1e38),
            (1.0, 1.0 + 1e-15),
        ] {
            let ticks = ticks(low, high);
            assert!(ticks.len() <= 12, "{low}..{high}: {ticks:?}");
            for (tick, _) in ticks {
                assert!(
                    tick >= low && tick <= high * 1.000_001,
                    "{low}..{high}: {tick}"
                );
            }
        }
    }

    #[test]
    fn points_outside_the_square_or_not_finite_do_no_harm() {
        let points = vec![
            [-1.0, 0.5],
            [f64::NAN, 0.5],
            [0.5, f64::INFINITY],
            [7.0, 2.0],
        ];
        let text = curve(&Curve::roc(points), "bent").into_string();
        assert!(
            text.contains("<polyline class=\"curve\" points=\"46.00,111.00 288.00,8.00\""),
            "{text}"
        );
        let text = curve(&Curve::roc(Vec::new()), "bent").into_string();
        assert!(text.contains(">undefined<"), "{text}");
    }

    #[test]
    fn many_points_are_thinned() {
        let points = (0..100_000).map(|at| f64::from(at) / 1e5);
        let points = points.map(|x| [x, x.sqrt()]).collect();
        let text = curve(&Curve::per_region_overlap(points, 0.3), "bent").into_string();
        let line = text.split("points=\"").nth(1).unwrap();
        let drawn = line.split('"').next().unwrap().split(' ').count();
        assert!((20..500).contains(&drawn), "{drawn} points");
    }

    #[test]
    fn bars_hold_as_many_images_as_there_are() {
        let category = Category {
            name: "bent".to_owned(),
            normal_scores: (0..200).map(|at| (at as f32 * 0.37).sin()).collect(),
            anomalous_scores: (0..30)
                .map(|at| at as f32 * 0.1)
                .chain([f32::NAN])
                .collect(),
            score_threshold: Some(0.7),
            ..Category::default()
        };
        let text = histogram(&category).unwrap().into_string();
        let counted = |what: &str| -> usize {
            text.split("<title>")
                .skip(1)
                .filter(|title| title.contains(what))
                .map(|title| title.split(' ').next().unwrap().parse::<usize>().unwrap())
                .sum()
        };
        assert_eq!(
            (counted(" normal images"), counted(" anomalous images")),
            (200, 30)
        );
        assert!(text.contains("1 skipped: not finite") && text.contains("threshold 0.7000"));
        assert!(histogram(&Category::default()).is_none());
    }
}
