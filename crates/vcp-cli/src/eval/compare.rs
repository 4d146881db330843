//! `vcp-clip eval --compare A.json B.json`.

use std::path::Path;

use vcp_evaluate::output::table;
use vcp_evaluate::{ComparedRow, Comparison, Results};

use crate::args::Format;
use crate::console::{self, Column};
use crate::exit::{Exit, OrUsage};

pub(super) fn run(first: &Path, second: &Path, format: Format) -> anyhow::Result<Exit> {
    let results = (
        Results::read(first).or_usage()?,
        Results::read(second).or_usage()?,
    );
    let comparison = Comparison::of(&results.0, &results.1);
    match format {
        Format::Json => console::print_json(&comparison)?,
        Format::Table => console::print_text(&text(&comparison, first, second))?,
    }
    Ok(Exit::Done)
}

fn text(comparison: &Comparison, first: &Path, second: &Path) -> String {
    let headings: Vec<&str> = std::iter::once("category")
        .chain(table::COLUMNS.iter().map(|(_, heading)| *heading))
        .collect();
    let line = |name: &str, figure: &dyn Fn(&str) -> String| {
        let figures = table::COLUMNS.iter().map(|(key, _)| figure(key));
        std::iter::once(name.to_owned()).chain(figures).collect()
    };
    let compared =
        |row: &ComparedRow| line(&row.name, &|key| difference(key, row.difference.get(key)));
    let mean = &comparison.mean;
    let rows = comparison.categories.iter().map(compared).chain([
        line("mean of A", &|key| table::figure(key, mean.first.get(key))),
        line("mean of B", &|key| table::figure(key, mean.second.get(key))),
        line("difference", &|key| {
            difference(key, mean.difference.get(key))
        }),
    ]);
    let mut text = format!(
        "A  {}\nB  {}\nB minus A, in points of percent; thresholds as they are\n\n",
        console::printable(&first.display().to_string()),
        console::printable(&second.display().to_string())
    );
    text += &console::table(&Column::of_figures(&headings), rows);
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
fn difference(key: &str, difference: Option<f64>) -> String {
    match difference {
        None => "–".to_owned(),
        Some(value) if table::is_percent(key) => format!("{:+.2}", 100.0 * value),
        Some(value) => format!("{value:+.4}"),
    }
}
