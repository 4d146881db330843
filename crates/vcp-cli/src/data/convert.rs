//! `vcp-clip data convert`.

use super::{collection, settled, thread_pool};
use crate::args::{ConvertArgs, Form};
use crate::console;
use crate::exit::{Exit, OrUsage};
use crate::interrupt::Stop;
use crate::progress::Progress;

pub(crate) fn run(arguments: ConvertArgs) -> anyhow::Result<Exit> {
    let collection = collection(arguments.data, arguments.orientation.orientation)?;
    let threads = thread_pool(arguments.threads)?;
    let stop = Stop::on_signals();
    for read in collection.read().or_usage()? {
        let dataset = read.dataset;
        if !arguments.quiet {
            for problem in &dataset.problems {
                console::note(&problem.sentence());
            }
            if dataset.problems.left_out() > 0 {
                console::note(&format!(
                    "There are {} problems in all; of each kind, the first {} are named.",
                    dataset.problems.count(),
                    vcp_dataset::Problems::KEPT
                ));
            }
        }
        let progress = Progress::new(Some(dataset.samples.len()), arguments.quiet);
        let options = &settled(
            &collection.options.decode,
            &dataset.samples,
            arguments.quiet,
        );
        let done = || {
            progress.advance();
            stop.flow()
        };
        let converted = threads.install(|| match arguments.to {
            Form::Official => {
                vcp_dataset::convert_to_official(&dataset, &arguments.out, options, &done)
            }
        });
        progress.finish();
        let converted = match converted {
            Err(vcp_dataset::Error::Stopped) => return Ok(Exit::Interrupted),
            converted => converted?,
        };
        if !arguments.quiet {
            for sentence in converted.findings.sentences() {
                console::note(&console::printable(&sentence));
            }
        }
        console::print_line(&format!(
            "{}: {} images in {}",
            converted.list.display(),
            converted.images,
            converted.folder.display()
        ))?;
    }
    Ok(Exit::Done)
}
