//! report.html: everything that was found on one page.

use serde_json::Value;
use vcp_report::{Category, Cell, Column, Curve, Format, Report};

use super::{images, table};
use crate::calibrated::Calibrated;
use crate::category::{Case, CategoryReport, CurvePoint, Row};
use crate::error::Error;
use crate::evaluation::Evaluation;
use crate::figures::{Figures, Undefined};
use crate::plan::PlannedCategory;
use crate::results::{MeanRow, Results};

/// Writes the page into the output folder. `created` is the day, in Universal Time.
pub(super) fn write(
    run: &Evaluation,
    results: &Results,
    reports: &[CategoryReport],
    created: &str,
) -> Result<(), Error> {
    let names: Vec<&str> = results
        .datasets
        .iter()
        .map(|dataset| dataset.name.as_str())
        .collect();
    let mut problems = table::remarks(results);
    for report in reports {
        problems.extend(report.result.failures.iter().map(|it| it.error.clone()));
    }
    for dataset in &results.datasets {
        problems.extend(dataset.notes.iter().cloned());
        problems.extend(dataset.problems.iter().cloned());
    }
    let categories = run.plan.categories.iter().zip(reports);
    let page = Report {
        title: names.join(", "),
        created: format!("{created} (UTC)"),
        model: model(run),
        protocol: lines(&results.protocol),
        columns: columns(results),
        rows: rows(results),
        categories: categories
            .map(|(category, report)| section(run, results, category, report))
            .collect::<Result<_, Error>>()?,
        problems,
    };
    let path = run.folder.join("report.html");
    Ok(vcp_report::write_html(&page.with_visible_text(), &path)?)
}

/// What was evaluated, as a reader wants to know it; `results.json` has the rest.
fn model(run: &Evaluation) -> Vec<(String, String)> {
    let model = &run.model;
    let mut lines = vec![("digest".to_owned(), model.digest.clone())];
    for source in &model.sources {
        let digest = format!("SHA-256 {}", source.sha256);
        lines.push((source.file_name.clone(), digest));
    }
    let (geometry, settings) = (&model.geometry, &model.settings);
    let tower = |tower: &vcp_checkpoint::TowerGeometry| {
        format!("{} blocks of width {}", tower.layers, tower.width)
    };
    let vision = match geometry.backbone {
        None => tower(&geometry.vision),
        Some(backbone) => format!(
            "{} blocks of {}, then {}",
            backbone.blocks,
            backbone.architecture,
            tower(&geometry.vision)
        ),
    };
    let taps: Vec<String> = settings.taps.iter().map(usize::to_string).collect();
    let further = [
        ("vision tower", vision),
        ("text tower", tower(&geometry.text)),
        ("patch", format!("{} pixels", geometry.patch_size)),
        ("image size", format!("{} pixels", settings.image_size)),
        ("taps", taps.join(", ")),
        ("normal templates", settings.normal_templates.join("; ")),
        (
            "anomalous templates",
            settings.anomalous_templates.join("; "),
        ),
        ("activation", format!("{:?}", settings.activation)),
        (
            "context vectors",
            if settings.global_context {
                "learned, changed by the image"
            } else {
                "learned alone"
            }
            .to_owned(),
        ),
        ("device", run.device.clone()),
    ];
    lines.extend(further.map(|(name, value)| (name.to_owned(), value)));
    lines
}

/// Names and values of an object.
fn lines(value: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values
            .iter()
            .map(Value::to_string)
            .collect::<Vec<_>>()
            .join(", "),
        Value::Object(entries) => entries
            .iter()
            .map(|(key, value)| format!("{} {}", key.replace('_', " "), unquoted(value)))
            .collect::<Vec<_>>()
            .join("; "),
        other => other.to_string(),
    };
    let Some(entries) = value.as_object() else {
        return Vec::new();
    };
    let entries = entries.iter().filter(|(_, value)| !value.is_null());
    entries
        .map(|(key, value)| (key.replace('_', " "), text(value)))
        .collect()
}

fn unquoted(value: &Value) -> String {
    let text = value.as_str().map(str::to_owned);
    text.unwrap_or_else(|| value.to_string())
}

fn columns(results: &Results) -> Vec<Column> {
    let images = Column {
        key: "images".to_owned(),
        label: "images".to_owned(),
        help: String::new(),
        format: Format::Count,
    };
    let calibrated = table::calibrated_columns(results).iter();
    let figures = Figures::COLUMNS
        .iter()
        .chain(calibrated)
        .map(|column| Column {
            key: column.key.to_owned(),
            label: column.title.to_owned(),
            help: column.help.to_owned(),
            format: if column.is_percent {
                Format::Percent
            } else {
                Format::Number
            },
        });
    std::iter::once(images).chain(figures).collect()
}

fn rows(results: &Results) -> Vec<vcp_report::Row> {
    let plain = |row: &Row, name: String| vcp_report::Row {
        category: name,
        values: cells(
            results,
            row.images,
            &row.figures,
            &row.undefined,
            row.calibrated.as_ref(),
        ),
        ..vcp_report::Row::default()
    };
    let mean = |name: String, mean: &MeanRow| vcp_report::Row {
        category: name,
        values: cells(
            results,
            mean.images,
            &mean.figures,
            &mean.undefined,
            mean.calibrated.as_ref(),
        ),
        is_mean: true,
        defects: Vec::new(),
    };
    let mut rows: Vec<vcp_report::Row> = Vec::new();
    for category in &results.categories {
        let defects = category.defects.iter();
        rows.push(vcp_report::Row {
            defects: defects.map(|row| plain(row, row.name.clone())).collect(),
            ..plain(&category.row, table::name(results, category))
        });
    }
    if results.datasets.len() > 1 {
        for dataset in &results.datasets {
            rows.push(mean(format!("mean of {}", dataset.name), &dataset.mean));
        }
    }
    rows.push(mean("mean".to_owned(), &results.mean));
    rows
}

fn cells(
    results: &Results,
    images: usize,
    figures: &Figures,
    undefined: &Undefined,
    calibrated: Option<&Calibrated>,
) -> Vec<Cell> {
    let cell = |key: &str| match figures.get(key) {
        Some(figure) => Cell::Number(figure),
        None => Cell::Undefined(undefined.get(key).cloned().unwrap_or_default()),
    };
    let figures = Figures::COLUMNS.iter().map(|column| cell(column.key));
    let rates = table::calibrated_columns(results).iter().map(|column| {
        let rate = calibrated.and_then(|calibrated| calibrated.get(column.key));
        rate.map_or_else(
            || Cell::Undefined("no such images".to_owned()),
            Cell::Number,
        )
    });
    std::iter::once(Cell::Number(images as f64))
        .chain(figures)
        .chain(rates)
        .collect()
}

/// Curves, histogram and telling images of a category.
fn section(
    run: &Evaluation,
    results: &Results,
    category: &PlannedCategory,
    report: &CategoryReport,
) -> Result<Category, Error> {
    let result = &report.result;
    let scores = |anomalous: bool| {
        let images = report.images.iter();
        images
            .filter(|image| image.anomalous == anomalous)
            .map(|image| result.scaled_score(image.score))
            .collect()
    };
    Ok(Category {
        name: table::name(results, result),
        curves: curves(run, report),
        normal_scores: scores(false),
        anomalous_scores: scores(true),
        score_threshold: result.row.figures.image_threshold,
        pixel_threshold: result.row.figures.threshold,
        color_range: Some(images::color_range(result, &run.protocol)),
        worst_false_positives: drawn(run, category, report, &report.false_alarms)?,
        worst_misses: drawn(run, category, report, &report.misses)?,
    })
}

fn curves(run: &Evaluation, report: &CategoryReport) -> Vec<Curve> {
    let result = &report.result;
    let figures = &result.row.figures;
    let note = |figure: Option<f64>| {
        let percent = table::percent(figure);
        figure.map_or_else(String::new, |_| format!("area {percent} %"))
    };
    let points = |curve: &[CurvePoint], point: fn(&CurvePoint) -> [f64; 2]| {
        curve.iter().map(point).collect::<Vec<_>>()
    };
    let rates: fn(&CurvePoint) -> [f64; 2] =
        |point| [point.false_positive_rate, point.true_positive_rate];
    let precision: fn(&CurvePoint) -> [f64; 2] =
        |point| [point.true_positive_rate, point.precision];
    let mut curves = Vec::new();
    if figures.pixel_auroc.is_some() {
        let pixels = &report.pixel_curve;
        curves.push(Curve::roc(points(pixels, rates)).with_note(note(figures.pixel_auroc)));
        curves.push(
            Curve::precision_recall(points(pixels, precision)).with_note(note(figures.pixel_ap)),
        );
        let overlap = points(pixels, |point| {
            [point.false_positive_rate, point.region_overlap]
        });
        let limit = run.protocol.aupro_limit;
        curves.push(
            Curve::per_region_overlap(overlap, limit)
                .with_note(format!("exact {} %", table::percent(figures.aupro_exact))),
        );
        for curve in &mut curves {
            curve.title += ", pixels";
        }
    }
    if figures.image_auroc.is_some() {
        let images = &report.image_curve;
        let mut roc = Curve::roc(points(images, rates)).with_note(note(figures.image_auroc));
        roc.title += ", images";
        let mut precision_recall =
            Curve::precision_recall(points(images, precision)).with_note(note(figures.image_ap));
        precision_recall.title += ", images";
        curves.extend([roc, precision_recall]);
    }
    curves
}

/// The images that are worth showing. One that cannot be read any more is skipped.
fn drawn(
    run: &Evaluation,
    category: &PlannedCategory,
    report: &CategoryReport,
    worth: &[Case],
) -> Result<Vec<vcp_report::Case>, Error> {
    let options = run.protocol.decode_options();
    let mut found = Vec::new();
    for case in worth {
        let Some(record) = report.images.get(case.image) else {
            continue;
        };
        let mut samples = category.samples.iter();
        let Some(sample) = samples.find(|sample| sample.id == record.id) else {
            continue;
        };
        let map = case.map(&run.predictor)?.into_owned();
        let drawn = images::case(
            sample,
            &report.result,
            map,
            run.predictor.image_size(),
            record.score,
            &options,
        );
        if let Ok(drawn) = drawn {
            found.push(drawn.shrunk()?);
        }
    }
    Ok(found)
}
