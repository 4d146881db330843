//! The official table, for people: its columns, rows, and what a reader has to know of the figures.
//!
//! Texts stand here as they are; names in them come from data sets
//! ([`vcp_report::visible::printable`]).

use serde_json::{Value, json};

use crate::calibrated::Calibrated;
use crate::category::{CategoryResult, Row};
use crate::comparison::{ComparedRow, Comparison};
use crate::figures::{Column, Figures};
use crate::results::{MeanRow, Results};

/// The columns of figures, in the official order: the name that a figure has in result files, and a
/// heading short enough for a terminal. The figures that the official code has not come last.
pub const COLUMNS: [(&str, &str); 11] = [
    ("pixel_auroc", "px AUROC"),
    ("aupro_200", "AUPRO-200"),
    ("pixel_ap", "AP"),
    ("pixel_f1_max", "F1-max"),
    ("pixel_iou", "IoU"),
    ("threshold", "threshold"),
    ("image_auroc", "img AUROC"),
    ("image_ap", "img AP"),
    ("image_f1_max", "img F1-max"),
    ("aupro_exact", "AUPRO-exact"),
    ("aupimo", "AUPIMO"),
];

/// What the numbers in the table are, as a sentence to stand beneath it.
pub const LEGEND: &str = "Percent, but for the number of images and the threshold, which is that \
     of F1-max on maps scaled to 0..1 over the category; – stands for what is undefined.";

/// The columns that the table has besides where the model is calibrated: how images come out at its
/// threshold. None where it is not.
#[must_use]
pub fn calibrated_columns(results: &Results) -> &'static [Column] {
    match results.mean.calibrated {
        Some(_) => &Calibrated::COLUMNS[..Calibrated::IMAGE_COLUMNS],
        None => &[],
    }
}

/// Every row of the table, as texts: name (a type of defect's begins with two spaces), number of images,
/// the figures of [`COLUMNS`], those of [`calibrated_columns`].
#[must_use]
pub fn rows(results: &Results) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let row = |name: &str, images: usize, figures: &Figures, calibrated: Option<&Calibrated>| {
        let figures = COLUMNS.iter().map(|(key, _)| figure(key, figures.get(key)));
        let rates = calibrated_columns(results)
            .iter()
            .map(|column| percent(calibrated.and_then(|it| it.get(column.key))));
        let row: Vec<String> = [name.to_owned(), images.to_string()]
            .into_iter()
            .chain(figures)
            .chain(rates)
            .collect();
        row
    };
    let of = |name: &str, it: &Row| row(name, it.images, &it.figures, it.calibrated.as_ref());
    let mean = |name: &str, it: &MeanRow| row(name, it.images, &it.figures, it.calibrated.as_ref());
    for category in &results.categories {
        let name = name(results, category);
        rows.push(of(&name, &category.row));
        for defect in &category.defects {
            let name = format!("  {}", defect.name);
            rows.push(of(&name, defect));
        }
    }
    if results.datasets.len() > 1 {
        for dataset in &results.datasets {
            let name = format!("mean of {}", dataset.name);
            rows.push(mean(&name, &dataset.mean));
        }
    }
    rows.push(mean("mean", &results.mean));
    rows
}

/// A category's name, with its data set's in front where there are several.
#[must_use]
pub fn name(results: &Results, category: &CategoryResult) -> String {
    if results.datasets.len() > 1 {
        format!("{}/{}", category.dataset, category.row.name)
    } else {
        category.row.name.clone()
    }
}

/// The figure of this name as its column shows it: percent with two decimals, or the value itself with
/// four; "–" where it is undefined.
#[must_use]
pub fn figure(key: &str, figure: Option<f64>) -> String {
    match figure {
        Some(value) if !is_percent(key) => format!("{value:.4}"),
        figure => percent(figure),
    }
}

/// Whether the figure of this name is a fraction of 1 that is shown as percent.
fn is_percent(key: &str) -> bool {
    let mut columns = Figures::COLUMNS.iter();
    columns.any(|column| column.key == key && column.is_percent)
}

/// A fraction of 1 as percent with two decimals, as papers print it; "–" where there is none.
#[must_use]
pub fn percent(figure: Option<f64>) -> String {
    figure.map_or_else(|| "–".to_owned(), |figure| format!("{:.2}", 100.0 * figure))
}

/// What a reader has to know of the figures, a sentence each: unusual constants, undefined figures, means
/// that leave something out, images that are missing.
#[must_use]
pub fn remarks(results: &Results) -> Vec<String> {
    let mut remarks = Vec::new();
    let unusual = |key: &str, usual: Value| {
        let value = results.protocol.get(key);
        value.filter(|value| **value != usual)
    };
    if let Some(steps) = unusual("aupro_steps", json!(200)) {
        remarks.push(format!("AUPRO-200 is over {steps} thresholds here."));
    }
    if let Some(limit) = unusual("aupro_limit", json!(0.3)) {
        remarks.push(format!(
            "Both AUPRO end at a false-positive rate of {limit}, not of 0.3 as usual."
        ));
    }
    remarks.extend(calibration(results));
    for category in &results.categories {
        let name = name(results, category);
        remarks.extend(undefined(&name, &category.row));
        for defect in &category.defects {
            remarks.extend(undefined(&format!("{name}, {}", defect.name), defect));
        }
        if category.images_without_mask > 0 {
            remarks.push(format!(
                "{name}: {} anomalous images have no mask and count for image figures only.",
                category.images_without_mask
            ));
        }
        remarks.extend(category.notes.iter().cloned());
        if !category.failures.is_empty() {
            remarks.push(format!(
                "{name}: {} images could not be used and are in no figure.",
                category.failures.len()
            ));
        }
    }
    for dataset in &results.datasets {
        if dataset.weak_masks {
            remarks.push(format!(
                "{}: the masks are rough outlines around the defects, which lowers pixel figures.",
                dataset.name
            ));
        }
    }
    remarks.extend(left_out(&results.mean));
    remarks
}

/// What the columns of a calibrated model are about.
fn calibration(results: &Results) -> Option<String> {
    let calibrated = results.mean.calibrated.as_ref()?;
    let facts = results.protocol.get("calibration")?;
    let text = |key: &str| facts.get(key).and_then(Value::as_str).unwrap_or_default();
    Some(format!(
        "False alarms and detected images are those with a score of at least {}, the model's \
         calibration ({}; {}).",
        calibrated.score_threshold,
        text("data"),
        text("date")
    ))
}

/// One sentence for all figures that are missing for the same reason.
fn undefined(name: &str, row: &Row) -> Vec<String> {
    let mut reasons: Vec<(&String, Vec<&str>)> = Vec::new();
    for (key, reason) in &row.undefined {
        let title = title(key);
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, titles)) => titles.push(title),
            None => reasons.push((reason, vec![title])),
        }
    }
    let sentences = reasons
        .into_iter()
        .map(|(reason, titles)| format!("{name}: {} undefined: {reason}.", titles.join(", ")));
    sentences.collect()
}

fn left_out(mean: &MeanRow) -> Vec<String> {
    let sentences = mean.left_out.iter().map(|(key, count)| {
        format!(
            "mean: {} leaves out {count} of {} categories, which do not define it.",
            title(key),
            mean.categories
        )
    });
    sentences.collect()
}

/// What the figure of this name is called in sentences; the name itself if no figure has it.
#[must_use]
pub fn title(key: &str) -> &str {
    let columns = Figures::COLUMNS.iter();
    let mut found = columns.filter(|column| column.key == key);
    match found.next() {
        Some(column) => column.title,
        None => key,
    }
}

/// Every row of the table of a comparison, as texts: name, and for each of [`COLUMNS`] by how much the second
/// results differ from the first, with its sign; at the end the means of both and their difference.
#[must_use]
pub fn comparison_rows(comparison: &Comparison) -> Vec<Vec<String>> {
    let line = |name: &str, figure: &dyn Fn(&str) -> String| -> Vec<String> {
        let figures = COLUMNS.iter().map(|(key, _)| figure(key));
        std::iter::once(name.to_owned()).chain(figures).collect()
    };
    let compared =
        |row: &ComparedRow| line(&row.name, &|key| difference(key, row.difference.get(key)));
    let mean = &comparison.mean;
    let means = [
        line("mean of A", &|key| figure(key, mean.first.get(key))),
        line("mean of B", &|key| figure(key, mean.second.get(key))),
        line("difference", &|key| {
            difference(key, mean.difference.get(key))
        }),
    ];
    let categories = comparison.categories.iter().map(compared);
    categories.chain(means).collect()
}

/// What a reader has to know of a comparison, a line each: categories that only one of the results has, and
/// what differs in model and protocol.
#[must_use]
pub fn comparison_remarks(comparison: &Comparison) -> Vec<String> {
    let only = [
        ("A", &comparison.only_first),
        ("B", &comparison.only_second),
    ];
    let only = only.into_iter().filter(|(_, names)| !names.is_empty());
    let mut remarks: Vec<String> = only
        .map(|(which, names)| format!("Only in {which}: {}.", names.join(", ")))
        .collect();
    if !remarks.is_empty() {
        remarks.push("The means are over different categories and do not compare.".to_owned());
    }
    let settings = comparison.settings.iter();
    remarks.extend(settings.map(|setting| {
        let (first, second) = (&setting.first, &setting.second);
        format!("{}: {first} in A, {second} in B", setting.name)
    }));
    remarks
}

/// A difference with its sign, as the column of the figure shows it.
pub(super) fn difference(key: &str, difference: Option<f64>) -> String {
    match difference {
        None => "–".to_owned(),
        Some(value) if is_percent(key) => format!("{:+.2}", 100.0 * value),
        Some(value) => format!("{value:+.4}"),
    }
}
