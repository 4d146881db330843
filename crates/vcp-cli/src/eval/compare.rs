//! `vcp-clip eval --compare A.json B.json`.

use std::path::Path;

use vcp_evaluate::output::table;
use vcp_evaluate::{Comparison, Results};

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
    let headings = table::COLUMNS.iter().map(|(_, heading)| *heading);
    let headings: Vec<&str> = std::iter::once("category").chain(headings).collect();
    let rows = table::comparison_rows(comparison);
    let mut text = format!(
        "A  {}\nB  {}\nB minus A, in points of percent; thresholds as they are\n\n",
        console::printable(&first.display().to_string()),
        console::printable(&second.display().to_string())
    );
    text += &console::table(&Column::of_figures(&headings), rows);
    for remark in table::comparison_remarks(comparison) {
        text += &console::printable(&remark);
        text.push('\n');
    }
    text
}
