//! results.json, results.csv, results.md and images.csv.

use std::io::{self, Write};
use std::path::Path;

use vcp_checkpoint::Calibration;
use vcp_report::visible;

use super::escapes::{csv_text, markdown_text};
use super::{put, table};
use crate::calibrated::Calibrated;
use crate::category::CategoryReport;
use crate::error::Error;
use crate::figures::Figures;
use crate::results::Results;

/// Writes all four. Each appears whole or not at all.
pub(super) fn write(
    folder: &Path,
    results: &Results,
    reports: &[CategoryReport],
    calibration: Option<&Calibration>,
) -> Result<(), Error> {
    put(&folder.join("results.csv"), |file| csv(file, results))?;
    put(&folder.join("results.md"), |file| {
        file.write_all(markdown(results).as_bytes())
    })?;
    put(&folder.join("images.csv"), |file| {
        images(file, reports, calibration)
    })?;
    // Last, so that where it is, all is.
    put(&folder.join("results.json"), |file| {
        file.write_all(visible::json(&results.to_json()).as_bytes())
    })
}

/// A row per category, type of defect and mean; undefined figures are empty.
fn csv(file: &mut dyn Write, results: &Results) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(file);
    let rates = Calibrated::COLUMNS;
    let keys = Figures::COLUMNS.iter().map(|column| column.key);
    let rate_keys = rates.iter().map(|column| match column.key {
        // That of the best F1 has the plain name.
        "pixel_iou" => "calibrated_pixel_iou",
        key => key,
    });
    let head = ["dataset", "category", "defect", "images"];
    writer.write_record(head.into_iter().chain(keys).chain(rate_keys))?;
    let mut row =
        |names: [&str; 3], images: usize, figures: &Figures, calibrated: Option<&Calibrated>| {
            let names = names.map(|name| csv_text(name).into_owned()).into_iter();
            let figures = Figures::COLUMNS
                .iter()
                .map(|column| number(figures.get(column.key)));
            let rates = rates
                .iter()
                .map(|column| number(calibrated.and_then(|it| it.get(column.key))));
            let cells = names
                .chain([images.to_string()])
                .chain(figures)
                .chain(rates);
            writer.write_record(cells)
        };
    for category in &results.categories {
        let (dataset, name) = (&category.dataset, &category.row.name);
        row(
            [dataset, name, ""],
            category.row.images,
            &category.row.figures,
            category.row.calibrated.as_ref(),
        )?;
        for defect in &category.defects {
            row(
                [dataset, name, &defect.name],
                defect.images,
                &defect.figures,
                defect.calibrated.as_ref(),
            )?;
        }
    }
    if results.datasets.len() > 1 {
        for dataset in &results.datasets {
            let mean = &dataset.mean;
            row(
                [&dataset.name, "mean", ""],
                mean.images,
                &mean.figures,
                mean.calibrated.as_ref(),
            )?;
        }
    }
    let mean = &results.mean;
    row(
        ["", "mean", ""],
        mean.images,
        &mean.figures,
        mean.calibrated.as_ref(),
    )?;
    writer.flush()
}

fn number(figure: Option<f64>) -> String {
    figure.map_or_else(String::new, |figure| figure.to_string())
}

/// A row per image, with its score on the model's own scale, and whether that makes it anomalous;
/// without a calibration, nothing does.
fn images(
    file: &mut dyn Write,
    reports: &[CategoryReport],
    calibration: Option<&Calibration>,
) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(file);
    writer.write_record([
        "dataset",
        "category",
        "image",
        "label",
        "defect",
        "score",
        "max",
        "aupimo",
        "anomalous",
    ])?;
    for report in reports {
        for image in &report.images {
            let label = if image.anomalous {
                "anomalous"
            } else {
                "normal"
            };
            let decision = calibration.map(|it| image.score >= it.score_threshold);
            writer.write_record([
                &*csv_text(&report.result.dataset),
                &csv_text(&report.result.row.name),
                &csv_text(&image.id),
                label,
                &csv_text(&image.defect),
                &image.score.to_string(),
                &image.max.to_string(),
                &number(image.aupimo),
                &decision.map_or_else(String::new, |is_anomalous| is_anomalous.to_string()),
            ])?;
        }
    }
    writer.flush()
}

/// The printed table for a document.
fn markdown(results: &Results) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let keys = table::COLUMNS
        .iter()
        .map(|(key, _)| table::title(key).to_owned());
    let rates = table::calibrated_columns(results);
    let keys = keys.chain(rates.iter().map(|column| column.title.to_owned()));
    let head = ["category", "images"].map(str::to_owned);
    let mut text = line(head.into_iter().chain(keys).collect());
    text += "|---|";
    text += &"--:|".repeat(1 + table::COLUMNS.len() + rates.len());
    text.push('\n');
    for row in table::rows(results) {
        let is_defect = row.first().is_some_and(|name| name.starts_with("  "));
        let mut row: Vec<String> = row.iter().map(|text| markdown_text(text.trim())).collect();
        if is_defect && let Some(name) = row.first_mut() {
            *name = format!("— {name}");
        }
        text += &line(row);
    }
    text.push('\n');
    text += table::LEGEND;
    text.push('\n');
    for (at, remark) in table::remarks(results).iter().enumerate() {
        text += if at == 0 { "\n- " } else { "- " };
        text += &markdown_text(remark);
        text.push('\n');
    }
    text
}
