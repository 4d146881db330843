//! The table of figures.

use std::collections::HashMap;

use maud::{Markup, html as markup};

use crate::digits::{NONE, number};
use crate::{Cell, Column, Error, Format, Report, Row};

/// The table, its notes and the columns' meanings.
pub(crate) fn results(report: &Report, anchors: &HashMap<&str, String>) -> Result<Markup, Error> {
    if report.columns.is_empty() && report.rows.is_empty() {
        return Ok(markup! {});
    }
    for row in &report.rows {
        for row in std::iter::once(row).chain(&row.defects) {
            if row.values.len() != report.columns.len() {
                return Err(Error::CellCount {
                    row: row.category.clone(),
                    found: row.values.len(),
                    expected: report.columns.len(),
                });
            }
        }
    }
    let reasons = Reasons::of(report);
    let line = |row: &Row, is_defect: bool| {
        markup! {
            tr.defect[is_defect] {
                th scope="row" {
                    @match anchors.get(row.category.as_str()) {
                        Some(anchor) if !is_defect && !row.is_mean => a href=(format!("#{anchor}")) { bdi { (row.category) } },
                        _ => bdi { (row.category) },
                    }
                }
                @for (value, column) in row.values.iter().zip(&report.columns) { (cell(value, column, &reasons)) }
            }
        }
    };
    let has_percent = report
        .columns
        .iter()
        .any(|column| column.format == Format::Percent);
    let (means, rows): (Vec<_>, Vec<_>) = report.rows.iter().partition(|row| row.is_mean);
    Ok(markup! {
        section aria-labelledby="figures" {
            h2 #figures { "Figures" }
            div.wide tabindex="0" role="region" aria-labelledby="figures" {
                table #results {
                    thead {
                        tr {
                            th scope="col" { "Category" }
                            @for column in &report.columns {
                                th scope="col" title=[(!column.help.is_empty()).then_some(&column.help)] { (column.label) }
                            }
                        }
                    }
                    // A category and its defects are one body, so that sorting keeps them together.
                    @for row in rows {
                        tbody {
                            (line(row, false))
                            @for defect in &row.defects { (line(defect, true)) }
                        }
                    }
                    @if !means.is_empty() {
                        tfoot {
                            @for row in means {
                                (line(row, false))
                                @for defect in &row.defects { (line(defect, true)) }
                            }
                        }
                    }
                }
            }
            @if has_percent || !reasons.0.is_empty() {
                div.notes {
                    @if has_percent { p { "Rates and areas are percent." } }
                    @if !reasons.0.is_empty() {
                        p { (NONE) " stands where a figure is not defined:" }
                        ol {
                            @for (at, reason) in reasons.0.iter().enumerate() {
                                li id=(format!("reason-{}", at + 1)) { (reason) }
                            }
                        }
                    }
                }
            }
            @if report.columns.iter().any(|column| !column.help.is_empty()) {
                details {
                    summary { "What the columns mean" }
                    dl {
                        @for column in report.columns.iter().filter(|column| !column.help.is_empty()) {
                            div { dt { (column.label) " " code { (column.key) } } dd { (column.help) } }
                        }
                    }
                }
            }
        }
    })
}

fn cell(value: &Cell, column: &Column, reasons: &Reasons) -> Markup {
    match value {
        Cell::Number(value) if value.is_finite() => markup! {
            td data-value=(value) { (number(*value, column.format)) }
        },
        _ => {
            let reason = reason(value).unwrap_or_default();
            let mark = reasons.mark(reason);
            markup! {
                td.none title=(reason) {
                    (NONE) sup { a href=(format!("#reason-{mark}")) aria-label=(format!("undefined, note {mark}")) { (mark) } }
                }
            }
        }
    }
}

/// Why a cell has no number.
fn reason(value: &Cell) -> Option<&str> {
    match value {
        Cell::Number(value) if value.is_finite() => None,
        Cell::Number(_) => Some("the figure is not a finite number"),
        Cell::Undefined(reason) if reason.is_empty() => Some("no reason was given"),
        Cell::Undefined(reason) => Some(reason),
    }
}

/// The different reasons in the order in which they appear.
struct Reasons<'a>(Vec<&'a str>);

impl<'a> Reasons<'a> {
    fn of(report: &'a Report) -> Self {
        let mut reasons = Vec::new();
        for row in &report.rows {
            for row in std::iter::once(row).chain(&row.defects) {
                for reason in row.values.iter().filter_map(reason) {
                    if !reasons.contains(&reason) {
                        reasons.push(reason);
                    }
                }
            }
        }
        Self(reasons)
    }

    /// The reason's number, from 1.
    fn mark(&self, reason: &str) -> usize {
        self.0
            .iter()
            .position(|known| *known == reason)
            .map_or(0, |at| at + 1)
    }
}
