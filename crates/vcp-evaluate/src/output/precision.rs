//! What another precision changes, for people: tables, and precision.md.

use std::path::Path;

use super::escapes::markdown_text;
use super::{put, table};
use crate::error::Error;
use crate::pair::NOTICEABLE;
use crate::precision::{PrecisionReport, PrecisionRow, ThresholdSource};

/// What the numbers in the tables are, as sentences to stand beneath them.
pub const LEGEND: &str = "Figures in percent and their differences in points, but for the threshold, which is that \
     of F1-max on maps scaled to 0..1 over the category; maps and scores on the model's own scale of 0 to 1; – \
     stands for what is undefined.";

/// Headings of the table of figures.
#[must_use]
pub fn figure_headings() -> Vec<&'static str> {
    let headings = table::COLUMNS.iter().map(|(_, heading)| *heading);
    ["category", "computed in"]
        .into_iter()
        .chain(headings)
        .collect()
}

/// The table of figures, as texts: of each category and of the mean a row for f32, one for the other precision and
/// one for the difference.
#[must_use]
pub fn figure_rows(report: &PrecisionReport) -> Vec<Vec<String>> {
    let rows = report.categories.iter().chain([&report.mean]);
    rows.flat_map(|row| {
        let row = &row.figures;
        let line = |name: &str, kind: &str, figure: &dyn Fn(&str) -> String| -> Vec<String> {
            let figures = table::COLUMNS.iter().map(|(key, _)| figure(key));
            let names = [name, kind].map(str::to_owned);
            names.into_iter().chain(figures).collect()
        };
        [
            line(&row.name, "f32", &|key| {
                table::figure(key, row.first.get(key))
            }),
            line("", report.precision.name(), &|key| {
                table::figure(key, row.second.get(key))
            }),
            line("", "difference", &|key| {
                table::difference(key, row.difference.get(key))
            }),
        ]
    })
    .collect()
}

/// Headings of the table of maps, scores and decisions.
#[must_use]
pub fn change_headings() -> Vec<String> {
    [
        "category".to_owned(),
        "images".to_owned(),
        "maps, mean".to_owned(),
        "maps, largest".to_owned(),
        format!("pixels > {NOTICEABLE} (%)"),
        "scores, mean".to_owned(),
        "scores, largest".to_owned(),
        "decisions changed".to_owned(),
    ]
    .to_vec()
}

/// The table of absolute differences of maps and image scores, and of decisions, as texts; the last row is over all
/// images.
#[must_use]
pub fn change_rows(report: &PrecisionReport) -> Vec<Vec<String>> {
    let line = |name: &str, row: &PrecisionRow| {
        let value = |value: Option<f64>| {
            value.map_or_else(|| "–".to_owned(), |value| format!("{value:.5}"))
        };
        let (maps, scores) = (row.maps, row.scores);
        vec![
            name.to_owned(),
            row.images.to_string(),
            value(maps.map(|it| it.mean_absolute)),
            value(maps.map(|it| it.largest)),
            table::percent(maps.map(|it| it.noticeable_share)),
            value(scores.map(|it| it.mean_absolute)),
            value(scores.map(|it| it.largest)),
            row.decisions
                .as_ref()
                .map_or_else(|| "–".to_owned(), |it| it.changed.to_string()),
        ]
    };
    let categories = report.categories.iter();
    let categories = categories.map(|row| line(&row.figures.name, row));
    categories.chain([line("all", &report.mean)]).collect()
}

/// What a reader has to know of the tables, a sentence each: by which thresholds images were decided, each kind of
/// changed decisions, and what the figures leave out.
#[must_use]
pub fn remarks(report: &PrecisionReport) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(decisions) = &report.mean.decisions {
        let of = |threshold: Option<f64>| {
            let threshold = threshold.map(|it| it as f32);
            threshold.map_or_else(|| "–".to_owned(), |it| it.to_string())
        };
        remarks.push(match report.thresholds {
            ThresholdSource::BestF1 => {
                "Images are decided by the threshold of the best F1 of the scores in f32, \
                 each category by its own, since the model has no calibration."
                    .to_owned()
            }
            ThresholdSource::Calibration => {
                let review = match decisions.review_threshold {
                    Some(_) => format!(", to be reviewed from {}", of(decisions.review_threshold)),
                    None => String::new(),
                };
                format!(
                    "Images are decided by the calibration: defect from a score of {}{review}.",
                    of(decisions.score_threshold)
                )
            }
        });
        for (from, to, images) in decisions.changes() {
            let noun = if images == 1 { "image" } else { "images" };
            remarks.push(format!("From {from} to {to}: {images} {noun}."));
        }
    }
    remarks.extend(report.notes.iter().cloned());
    remarks
}

/// Writes precision.md and, last, precision.json into a folder.
///
/// # Errors
/// [`Error::Write`].
pub fn write(folder: &Path, report: &PrecisionReport) -> Result<(), Error> {
    put(&folder.join("precision.md"), |file| {
        file.write_all(markdown(report).as_bytes())
    })?;
    // As of results, it can always be written.
    let json = serde_json::to_string_pretty(report).unwrap_or_default() + "\n";
    put(&folder.join("precision.json"), |file| {
        file.write_all(vcp_report::visible::json(&json).as_bytes())
    })
}

fn markdown(report: &PrecisionReport) -> String {
    let mut text = format!("{}\n\n", markdown_text(&report.summary));
    let headings: Vec<String> = figure_headings().into_iter().map(str::to_owned).collect();
    text += &markdown_table(&headings, 2, figure_rows(report));
    text.push('\n');
    text += &markdown_table(&change_headings(), 1, change_rows(report));
    text.push('\n');
    text += LEGEND;
    text.push('\n');
    for (at, remark) in remarks(report).iter().enumerate() {
        text += if at == 0 { "\n- " } else { "- " };
        text += &markdown_text(remark);
        text.push('\n');
    }
    text
}

/// A table whose first columns, so many, hold words.
fn markdown_table(headings: &[String], words: usize, rows: Vec<Vec<String>>) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| markdown_cell(cell)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = line(headings);
    text.push('|');
    for at in 0..headings.len() {
        text += if at < words { "---|" } else { "--:|" };
    }
    text.push('\n');
    for row in rows {
        text += &line(&row);
    }
    text
}

/// Signs of differences are no lists within a cell.
fn markdown_cell(cell: &str) -> String {
    let is_number = |cell: &str| cell.parse::<f64>().is_ok();
    if is_number(cell) {
        cell.to_owned()
    } else {
        markdown_text(cell)
    }
}
