//! What a run will cost, known before it begins.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use vcp_checkpoint::Weights;
use vcp_predict::Cost;

/// Beyond this, what one photo will cost is worth saying.
const WORTH_SAYING: Limits = Limits {
    duration: Duration::from_mins(1),
    memory: 4 << 30,
};
/// Beyond this, a run should begin only if its user insists.
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

/// What one pass of a photo, or of a window of one, through a model takes on the CPU, by an estimate from
/// the model's geometry. As text it is a sentence without its full stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// How long it takes.
    pub duration: Duration,
    /// Bytes of memory, the model's own included.
    pub memory: u64,
    /// Threads that compute.
    pub threads: usize,
    /// Side in pixels to which photos are resized.
    pub image_size: usize,
}

impl Estimate {
    /// For a model on so many threads, by default one per processor core.
    #[must_use]
    pub fn of(weights: &Weights, threads: Option<NonZeroUsize>) -> Self {
        let threads = threads
            .or_else(|| std::thread::available_parallelism().ok())
            .map_or(1, NonZeroUsize::get);
        let cost = Cost::of(weights);
        Self {
            duration: cost.duration(threads),
            memory: cost.memory,
            threads,
            image_size: weights.settings().image_size,
        }
    }

    /// Whether it is more than a minute or 4 GiB, which a user should know beforehand.
    #[must_use]
    pub fn is_much(&self) -> bool {
        WORTH_SAYING.are_exceeded(self.duration, self.memory)
    }

    /// Refuses what a user is not likely to want: more than 10 minutes or 32 GiB.
    ///
    /// # Errors
    /// [`TooMuch`].
    pub fn check(self) -> Result<Self, TooMuch> {
        if TOO_MUCH.are_exceeded(self.duration, self.memory) {
            Err(TooMuch { estimate: self })
        } else {
            Ok(self)
        }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "At an image size of {} pixels, each pass of a photo through this model takes about {} on {} \
             and {} of memory, by an estimate from its geometry",
            self.image_size,
            duration_in_words(self.duration),
            match self.threads {
                1 => "1 thread".to_owned(),
                threads => format!("{threads} threads"),
            },
            bytes_in_words(self.memory),
        )
    }
}

/// A run that would take more than its user is likely to want.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{estimate}; that is more than {} or {}, so nothing was begun. Set a smaller --image-size, or begin all the \
     same with --no-cost-limit.", duration_in_words(TOO_MUCH.duration), bytes_in_words(TOO_MUCH.memory)
)]
pub struct TooMuch {
    /// What it would take.
    pub estimate: Estimate,
}

fn duration_in_words(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        ..100.0 => format!("{seconds:.0} seconds"),
        ..6000.0 => format!("{:.0} minutes", seconds / 60.0),
        ..360_000.0 => format!("{:.0} hours", seconds / 3600.0),
        _ => format!("{:.0} days", seconds / 86400.0),
    }
}

fn bytes_in_words(bytes: u64) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    match mebibytes {
        ..1024.0 => format!("{mebibytes:.0} MiB"),
        ..1_048_576.0 => format!("{:.2} GiB", mebibytes / 1024.0),
        _ => format!("{:.2} TiB", mebibytes / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vcp_checkpoint::{Geometry, Settings};

    fn estimate(image_size: usize) -> Estimate {
        let geometry = Geometry::vit_b_16();
        let settings = Settings {
            image_size,
            ..Settings::for_geometry(&geometry)
        };
        let weights = Weights::random(geometry, settings, 1).expect("a sensible geometry");
        Estimate::of(&weights, NonZeroUsize::new(2))
    }

    #[test]
    fn what_is_much_is_said_and_what_is_too_much_refused() {
        let small = estimate(224);
        assert!(!small.is_much() && small.check() == Ok(small), "{small}");
        let large = estimate(4096);
        let refused = large.check().expect_err("hours").to_string();
        assert!(
            large.is_much() && refused.contains("4096 pixels"),
            "{refused}"
        );
        assert!(refused.contains("10 minutes or 32.00 GiB"), "{refused}");
    }

    #[test]
    fn sizes_read_well() {
        for (bytes, words) in [
            (5 << 20, "5 MiB"),
            (3 << 29, "1.50 GiB"),
            (5 << 39, "2.50 TiB"),
        ] {
            assert_eq!(bytes_in_words(bytes), words);
        }
    }
}
