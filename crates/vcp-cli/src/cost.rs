//! What a run will cost, said before it begins.

use std::num::NonZeroUsize;
use std::time::Duration;

use vcp_checkpoint::Weights;
use vcp_predict::Cost;

use crate::console;
use crate::exit::usage;

/// Beyond this, what one photo will cost is said.
const WORTH_SAYING: Limits = Limits {
    duration: Duration::from_mins(1),
    memory: 4 << 30,
};
/// Beyond this, the run is refused unless it is asked for.
const TOO_MUCH: Limits = Limits {
    duration: Duration::from_mins(10),
    memory: 32 << 30,
};

struct Limits {
    duration: Duration,
    memory: u64,
}

impl Limits {
    fn are_exceeded(&self, duration: Duration, memory: u64) -> bool {
        duration > self.duration || memory > self.memory
    }
}

/// Says what a photo will cost on the CPU if that is much, unless `quiet`.
///
/// # Errors
/// As wrong usage, if it is far too much and `unlimited` is not set.
pub(crate) fn settle(
    weights: &Weights,
    threads: Option<NonZeroUsize>,
    unlimited: bool,
    quiet: bool,
) -> anyhow::Result<()> {
    let threads = threads
        .or_else(|| std::thread::available_parallelism().ok())
        .map_or(1, NonZeroUsize::get);
    let Cost { memory, .. } = Cost::of(weights);
    let duration = Cost::of(weights).duration(threads);
    if !WORTH_SAYING.are_exceeded(duration, memory) {
        return Ok(());
    }
    let estimate = format!(
        "At an image size of {} pixels, each look of this model at a photo takes about {} on {} and \
         {} of memory, by an estimate from its geometry",
        weights.settings().image_size,
        in_words(duration),
        if threads == 1 {
            "1 thread".to_owned()
        } else {
            format!("{threads} threads")
        },
        indicatif::BinaryBytes(memory),
    );
    if TOO_MUCH.are_exceeded(duration, memory) && !unlimited {
        return Err(usage(format!(
            "{estimate}; that is more than {} or {}, so nothing was begun. Set a smaller --image-size, \
             or begin all the same with --no-cost-limit.",
            in_words(TOO_MUCH.duration),
            indicatif::BinaryBytes(TOO_MUCH.memory),
        )));
    }
    if !quiet {
        console::note(&format!("{estimate}."));
    }
    Ok(())
}

fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        ..100.0 => format!("{seconds:.0} seconds"),
        ..6000.0 => format!("{:.0} minutes", seconds / 60.0),
        ..360_000.0 => format!("{:.0} hours", seconds / 3600.0),
        _ => format!("{:.0} days", seconds / 86400.0),
    }
}
