//! `vcp-clip data synth`.

use vcp_synthetic::SyntheticSet;

use super::thread_pool;
use crate::args::SynthArgs;
use crate::console;
use crate::exit::Exit;
use crate::interrupt::Stop;
use crate::progress::Progress;

pub(crate) fn run(arguments: &SynthArgs) -> anyhow::Result<Exit> {
    let set = SyntheticSet {
        count: arguments.count.get(),
        size: arguments.size.into(),
        seed: arguments.seed,
        sheet: arguments.sheet,
    };
    let threads = thread_pool(arguments.threads)?;
    let progress = Progress::new(Some(set.count), arguments.quiet);
    let stop = Stop::on_signals();
    let done = || {
        progress.advance();
        stop.flow()
    };
    let counts = threads.install(|| set.write(&arguments.out, &done));
    progress.finish();
    let counts = match counts {
        Err(vcp_synthetic::Error::Stopped) => return Ok(Exit::Interrupted),
        counts => counts?,
    };
    console::print_line(&format!(
        "{}: {} images, {} clean and {} with defects",
        arguments.out.display(),
        set.count,
        counts.clean,
        counts.defective
    ))?;
    Ok(Exit::Done)
}
