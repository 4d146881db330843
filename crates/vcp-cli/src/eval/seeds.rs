//! An evaluation for each of several choices of reference images.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use vcp_dataset::Member;
use vcp_evaluate::output::table;
use vcp_evaluate::{FewShot, Plan, Protocol, Seeds, Spread};
use vcp_files::write_result;

use super::options::Options;
use crate::args::Format;
use crate::console::{self, Column};
use crate::exit::OrUsage;

/// The protocol, the folder and the plan of each choice; a single one without reference images.
pub(super) fn plans(
    options: &Options,
    plan: Plan,
    read: &[Member],
) -> anyhow::Result<Vec<(Protocol, PathBuf, Plan)>> {
    let protocol = &options.protocol;
    let Some(few) = protocol.references else {
        return Ok(vec![(protocol.clone(), options.out.clone(), plan)]);
    };
    let one = |&seed: &u64| {
        let few = FewShot { seed, ..few };
        let protocol = Protocol {
            references: Some(few),
            ..protocol.clone()
        };
        let folder = match options.seeds.len() {
            1 => options.out.clone(),
            _ => options.out.join(format!("seed-{seed}")),
        };
        let plan = plan.clone().with_references(read, few).or_usage()?;
        Ok((protocol, folder, plan))
    };
    options.seeds.iter().map(one).collect()
}

/// Writes seeds.json and prints mean and standard deviation over all choices.
pub(super) fn finish(seeds: &Seeds, folder: &Path, format: Format) -> anyhow::Result<()> {
    let text = console::json_document(seeds)?;
    let path = folder.join("seeds.json");
    write_result(&path, |file| writeln!(file, "{text}"))
        .with_context(|| format!("{} cannot be written", path.display()))?;
    if format == Format::Json {
        return console::print_json(seeds);
    }
    let headings = ["category"].into_iter();
    let headings: Vec<&str> = headings
        .chain(table::COLUMNS.iter().map(|(_, heading)| *heading))
        .collect();
    let rows = seeds.categories.iter().chain([&seeds.mean]).map(row);
    let mut text = console::table(&Column::of_figures(&headings), rows.collect::<Vec<_>>());
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "Mean ± standard deviation over {} choices of {} reference images. {}",
        seeds.seeds.len(),
        seeds.references,
        table::LEGEND
    );
    Ok(console::print_text(&text)?)
}

fn row(spread: &Spread) -> Vec<String> {
    let figures = table::COLUMNS.iter().map(|(key, _)| {
        let texts = [&spread.mean, &spread.deviation].map(|it| table::figure(key, it.get(key)));
        texts.join(" ± ")
    });
    [spread.name.clone()].into_iter().chain(figures).collect()
}
