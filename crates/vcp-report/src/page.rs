//! The page as a whole.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html as markup};
use sha2::{Digest as _, Sha256};
use vcp_files::Durability;

use crate::digits::number;
use crate::table::results;
use crate::{Category, Error, Format, Report, cases, plot};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The whole page as text: one HTML document that needs no other file and asks nothing of the
/// network.
///
/// Control characters in texts become U+FFFD, and everything is escaped, so names of files and
/// categories can be anything.
///
/// # Errors
/// [`Error::CellCount`] if a row does not fit the columns; [`Error::MapSize`] and
/// [`Error::TruthSize`] if the parts of a case do not fit together; [`Error::Range`] if a colour
/// scale has no extent; [`Error::Picture`] if a picture cannot be encoded.
pub fn html(report: &Report) -> Result<String, Error> {
    let page = page(report)?.into_string();
    // They have no meaning in HTML, and some are errors in it.
    let is_odd = |character: char| character.is_control() && character != '\n';
    if page.contains(is_odd) {
        return Ok(page.replace(is_odd, "\u{FFFD}"));
    }
    Ok(page)
}

/// Writes the page of [`html`]: first to a temporary file in the same folder, which then takes the
/// name, so that `path` never holds half a page.
///
/// # Errors
/// Those of [`html`], and [`Error::Write`] with the path. Nothing is left behind.
pub fn write_html(report: &Report, path: &Path) -> Result<(), Error> {
    let page = html(report)?;
    vcp_files::write(path, Durability::Synced, |file| {
        file.write_all(page.as_bytes())
    })
    .map_err(|source| Error::Write {
        file: path.to_owned(),
        source,
    })
}

fn page(report: &Report) -> Result<Markup, Error> {
    let mut anchors = HashMap::new();
    for (at, category) in report.categories.iter().enumerate() {
        anchors
            .entry(category.name.as_str())
            .or_insert_with(|| anchor(at));
    }
    Ok(markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (report.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { bdi { (report.title) } }
                    @if !report.created.is_empty() { p.created { (report.created) } }
                }
                main {
                    @if !report.problems.is_empty() {
                        section.problems aria-labelledby="problems" {
                            h2 #problems { "To know before reading" }
                            ul { @for problem in &report.problems { li { bdi { (problem) } } } }
                        }
                    }
                    (results(report, &anchors)?)
                    @if !report.model.is_empty() || !report.protocol.is_empty() {
                        section.facts {
                            (facts("Model", &report.model))
                            (facts("Protocol", &report.protocol))
                        }
                    }
                    @for (at, category) in report.categories.iter().enumerate() {
                        (section(category, &anchor(at))?)
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    })
}

fn anchor(at: usize) -> String {
    format!("category-{}", at + 1)
}

/// Forbids everything but the page's own style sheet and script and the pictures within it: should
/// any text ever slip through unescaped, it could still neither run nor reach anything.
fn policy() -> String {
    let hash = |text: &str| BASE64.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; img-src data:; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

/// Names and values beneath a heading.
fn facts(heading: &str, facts: &[(String, String)]) -> Markup {
    markup! {
        @if !facts.is_empty() {
            div {
                h2 { (heading) }
                dl {
                    @for (name, value) in facts {
                        div { dt { (name) } dd { bdi { (value) } } }
                    }
                }
            }
        }
    }
}

/// Everything about one category.
fn section(category: &Category, anchor: &str) -> Result<Markup, Error> {
    let scale = cases::Scale::of(category)?;
    let lists = [
        cases::List {
            heading: "Worst false positives",
            meaning: "Normal photos that score highest.",
            no_truth: "normal: no defect",
            cases: &category.worst_false_positives,
        },
        cases::List {
            heading: "Worst misses",
            meaning: "Anomalous photos that score lowest.",
            no_truth: "no mask",
            cases: &category.worst_misses,
        },
    ];
    Ok(markup! {
        section.category id=(anchor) aria-labelledby=(format!("{anchor}-name")) {
            h2 id=(format!("{anchor}-name")) { bdi { (category.name) } }
            div.plots {
                @for curve in &category.curves { (plot::curve(curve, &category.name)) }
                @if let Some(histogram) = plot::histogram(category) { (histogram) }
            }
            @if scale.is_needed() {
                p.scale {
                    "Colours of the maps go from " (number(f64::from(scale.range.0), Format::Number))
                    " (black) to " (number(f64::from(scale.range.1), Format::Number)) " (light yellow) in every photo of this category. "
                    @if let Some(threshold) = category.pixel_threshold {
                        "Orange is what reaches the pixel threshold " (number(threshold, Format::Number))
                        "; the green line is drawn around the truth."
                    } @else {
                        "There is no pixel threshold."
                    }
                }
            }
            @for list in &lists { (cases::list(list, &scale)?) }
        }
    })
}
