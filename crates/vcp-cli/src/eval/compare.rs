//! `vcp-clip eval --compare A.json B.json`.

use std::path::Path;

use vcp_evaluate::{ComparedRow, Comparison, Results};

use super::table;
use crate::args::Format;
use crate::console;
use crate::exit::{Exit, OrUsage};

pub(super) fn run(first: &Path, second: &Path, format: Format) -> anyhow::Result<Exit> {
    let results = (
        Results::read(first).or_usage()?,
        Results::read(second).or_usage()?,
    );
    let comparison = Comparison::of(&results.0, &results.1);
    match format {
        Format::Json => console::print_line(&serde_json::to_string(&comparison)?)?,
        Format::Table => console::print_bytes(text(&comparison, first, second).as_bytes())?,
    }
    Ok(Exit::Done)
}

fn text(comparison: &Comparison, first: &Path, second: &Path) -> String {
    let headings: Vec<&str> = std::iter::once("category")
        .chain(table::COLUMNS.iter().map(|(_, heading)| *heading))
        .collect();
    let line = |name: &str, figure: &dyn Fn(&str) -> String| {
        let figures = table::COLUMNS.iter().map(|(key, _)| figure(key));
        std::iter::once(console::printable(name))
            .chain(figures)
            .collect()
    };
    let difference = |row: &ComparedRow| line(&row.name, &|key| points(row.difference.get(key)));
    let mean = &comparison.mean;
    let rows = comparison.categories.iter().map(difference).chain([
        line("mean of A", &|key| table::percent(mean.first.get(key))),
        line("mean of B", &|key| table::percent(mean.second.get(key))),
        line("difference", &|key| points(mean.difference.get(key))),
    ]);
    let mut text = format!(
        "A  {}\nB  {}\nB minus A, in points of percent\n\n",
        first.display(),
        second.display()
    );
    text += &console::table(&headings, rows);
    for (which, names) in [
        ("A", &comparison.only_first),
        ("B", &comparison.only_second),
    ] {
        if !names.is_empty() {
            text += &console::printable(&format!("Only in {which}: {}.", names.join(", ")));
            text.push('\n');
        }
    }
    if !(comparison.only_first.is_empty() && comparison.only_second.is_empty()) {
        text += "The means are over different categories and do not compare.\n";
    }
    for setting in &comparison.settings {
        text += &console::printable(&format!(
            "{}: {} in A, {} in B",
            setting.name, setting.first, setting.second
        ));
        text.push('\n');
    }
    text
}

/// A difference with its sign.
fn points(difference: Option<f64>) -> String {
    difference.map_or_else(|| "–".to_owned(), |value| format!("{:+.2}", 100.0 * value))
}
