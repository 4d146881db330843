//! `vcp-clip data check`.

use std::fmt::Write as _;

use vcp_dataset::{Problems, Report};

use super::{collection, thread_pool};
use crate::args::CheckArgs;
use crate::console::{self, Column};
use crate::exit::{Exit, OrUsage};
use crate::progress::Progress;

pub(crate) fn run(arguments: CheckArgs) -> anyhow::Result<Exit> {
    let collection = collection(arguments.data, arguments.orientation.orientation)?;
    let threads = thread_pool(arguments.threads)?;
    let mut exit = Exit::Done;
    for read in collection.read().or_usage()? {
        let dataset = read.dataset;
        let report = if arguments.shallow {
            vcp_dataset::check(&dataset, false)
        } else {
            let progress = Progress::new(Some(dataset.samples.len()), arguments.quiet);
            let options = &collection.options.decode;
            let report = threads
                .install(|| vcp_dataset::check_deeply(&dataset, options, &|| progress.advance()));
            progress.finish();
            report
        };
        if !report.problems.is_empty() {
            exit = Exit::Failed;
        }
        if arguments.json {
            console::print_json(&report)?;
        } else {
            console::print_text(&text(&report))?;
        }
    }
    Ok(exit)
}

fn text(report: &Report) -> String {
    let rows = report.categories.iter().flat_map(|category| {
        category.splits.iter().map(|split| {
            let types: Vec<String> = split
                .defects
                .iter()
                .map(|defect| format!("{} {}", defect.defect, defect.images))
                .collect();
            vec![
                category.category.clone(),
                split.split.to_string(),
                split.images.to_string(),
                split.normal.to_string(),
                split.anomalous.to_string(),
                split.without_mask.to_string(),
                types.join(", "),
            ]
        })
    });
    let total = vec![
        "all".to_owned(),
        String::new(),
        report.images.to_string(),
        report.normal.to_string(),
        report.anomalous.to_string(),
        report.without_mask.to_string(),
    ];
    let columns = [
        Column::left("category"),
        Column::left("split"),
        Column::right("images"),
        Column::right("normal"),
        Column::right("anomalous"),
        Column::right("without mask"),
        Column::left("types of defect"),
    ];
    let mut text = format!("{}\n", console::printable(&report.dataset));
    text += &console::table(&columns, rows.chain([total]));
    // Writing to a string cannot fail.
    for note in &report.notes {
        let _ = writeln!(text, "Note: {}", console::printable(note));
    }
    let what = if report.deep {
        "all images and masks were decoded"
    } else {
        "images and masks were not decoded"
    };
    let _ = match report.problem_count {
        0 => writeln!(text, "No problems; {what}."),
        count => writeln!(text, "Problems: {count}; {what}."),
    };
    for problem in &report.problems {
        let _ = writeln!(text, "- {}", console::printable(&problem.sentence()));
    }
    if report.problems.left_out() > 0 {
        let (left_out, kept) = (report.problems.left_out(), Problems::KEPT);
        let _ = writeln!(
            text,
            "- and {left_out} more: of each kind, the first {kept} are named."
        );
    }
    text
}
