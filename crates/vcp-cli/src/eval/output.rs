//! results.json, results.csv, results.md and images.csv.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use vcp_evaluate::{CategoryReport, Figures, Results};

use super::table;
use crate::files::write_whole;

/// Writes all four. Each appears whole or not at all.
pub(super) fn write(
    folder: &Path,
    results: &Results,
    reports: &[CategoryReport],
) -> anyhow::Result<()> {
    let put = |name: &str, write: &dyn Fn(&mut dyn Write) -> io::Result<()>| {
        let path = folder.join(name);
        write_whole(&path, |file| write(file))
            .with_context(|| format!("{} cannot be written", path.display()))
    };
    put("results.csv", &|file| csv(file, results))?;
    put("results.md", &|file| {
        file.write_all(markdown(results).as_bytes())
    })?;
    put("images.csv", &|file| images(file, reports))?;
    // Last, so that where it is, all is.
    put("results.json", &|file| {
        file.write_all(results.to_json().as_bytes())
    })
}

/// A row per category, type of defect and mean; undefined figures are empty.
fn csv(file: &mut dyn Write, results: &Results) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(file);
    let keys = Figures::COLUMNS.iter().map(|column| column.key);
    let head = ["dataset", "category", "defect", "images"];
    writer.write_record(head.into_iter().chain(keys))?;
    let mut row = |names: [&str; 3], images: usize, figures: &Figures| {
        let names = names.map(str::to_owned).into_iter();
        let figures = Figures::COLUMNS
            .iter()
            .map(|column| number(figures.get(column.key)));
        writer.write_record(names.chain([images.to_string()]).chain(figures))
    };
    for category in &results.categories {
        let (dataset, name) = (&category.dataset, &category.row.name);
        row(
            [dataset, name, ""],
            category.row.images,
            &category.row.figures,
        )?;
        for defect in &category.defects {
            row(
                [dataset, name, &defect.name],
                defect.images,
                &defect.figures,
            )?;
        }
    }
    if results.datasets.len() > 1 {
        for dataset in &results.datasets {
            let mean = &dataset.mean;
            row([&dataset.name, "mean", ""], mean.images, &mean.figures)?;
        }
    }
    row(["", "mean", ""], results.mean.images, &results.mean.figures)?;
    writer.flush()
}

fn number(figure: Option<f64>) -> String {
    figure.map_or_else(String::new, |figure| figure.to_string())
}

/// A row per image, with its score on the model's own scale.
fn images(file: &mut dyn Write, reports: &[CategoryReport]) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(file);
    writer.write_record([
        "dataset", "category", "image", "label", "defect", "score", "max", "aupimo",
    ])?;
    for report in reports {
        for image in &report.images {
            let label = if image.anomalous {
                "anomalous"
            } else {
                "normal"
            };
            writer.write_record([
                report.result.dataset.as_str(),
                &report.result.row.name,
                &image.id,
                label,
                &image.defect,
                &image.score.to_string(),
                &image.max.to_string(),
                &number(image.aupimo),
            ])?;
        }
    }
    writer.flush()
}

/// The printed table for a document.
fn markdown(results: &Results) -> String {
    // A bar would end the cell, and a line the table.
    let cell = |text: &str| {
        let text = text.replace('|', "\\|");
        text.replace(char::is_control, " ")
    };
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let keys = table::COLUMNS
        .iter()
        .map(|(key, _)| table::title(key).to_owned());
    let head = ["category", "images"].map(str::to_owned);
    let mut text = line(head.into_iter().chain(keys).collect());
    text += "|---|";
    text += &"--:|".repeat(1 + table::COLUMNS.len());
    text.push('\n');
    for row in table::rows(results) {
        let is_defect = row.first().is_some_and(|name| name.starts_with("  "));
        let mut row: Vec<String> = row.iter().map(|text| cell(text.trim())).collect();
        if is_defect && let Some(name) = row.first_mut() {
            *name = format!("— {name}");
        }
        text += &line(row);
    }
    text += "\nPercent, but for the number of images; – stands for what is undefined.\n";
    for (at, remark) in table::remarks(results).iter().enumerate() {
        text += if at == 0 { "\n- " } else { "- " };
        text += &cell(remark);
        text.push('\n');
    }
    text
}
