//! Numbers on the command line: each option has bounds, and its help names them in the words of
//! [`words`]. `tests/arguments` holds every option to that.

use std::fmt::Display;
use std::num::NonZeroUsize;
use std::ops::{Bound, RangeBounds, RangeInclusive};
use std::str::FromStr;

/// Most threads that can be asked for: more than a machine has only slow it down.
const MOST_THREADS: usize = 256;

/// A kind of number.
pub(crate) trait Number:
    FromStr + PartialOrd + Display + Copy + Send + Sync + 'static
{
    /// What it is called.
    const NAME: &'static str;
}

impl Number for u8 {
    const NAME: &'static str = "a whole number";
}

impl Number for u16 {
    const NAME: &'static str = "a whole number";
}

impl Number for u64 {
    const NAME: &'static str = "a whole number";
}

impl Number for usize {
    const NAME: &'static str = "a whole number";
}

impl Number for f32 {
    const NAME: &'static str = "a number";
}

impl Number for f64 {
    const NAME: &'static str = "a number";
}

/// Reads a number within bounds, both of which are given and finite: then infinity and what is not a
/// number are outside.
pub(crate) fn within<T: Number>(
    bounds: impl RangeBounds<T> + Clone + Send + Sync + 'static,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| bounds.contains(number));
        number.ok_or_else(|| format!("expected {} {}", T::NAME, words(&bounds)))
    }
}

/// Reads a number of things, of which there is at least one.
pub(crate) fn count(
    most: usize,
) -> impl Fn(&str) -> Result<NonZeroUsize, String> + Clone + Send + Sync + 'static {
    let number = within(1..=most);
    move |text| {
        let number = number(text)?;
        NonZeroUsize::new(number).ok_or_else(|| "expected at least 1".to_owned())
    }
}

/// Reads a number of threads.
pub(crate) fn threads() -> impl Fn(&str) -> Result<NonZeroUsize, String> + Clone + Send + Sync {
    count(MOST_THREADS)
}

/// Reads a share or probability.
pub(crate) fn share() -> impl Fn(&str) -> Result<f32, String> + Clone + Send + Sync {
    within(0.0_f32..=1.0)
}

/// From which random numbers follow. Not all 64 bits, so that TOML files can hold it.
pub(crate) const SEEDS: RangeInclusive<u64> = 0..=i64::MAX as u64;

/// Most pixels that a photo can be allowed to have, more than any has within the longest sides that are
/// decoded.
pub(crate) const PIXELS: RangeInclusive<u64> = 1..=100_000_000_000;

/// Values that maps and scores are compared with. Theirs are from 0 to 1; beyond those, a threshold is
/// reached always or never.
pub(crate) const VALUES: RangeInclusive<f32> = -1000.0..=1000.0;

/// Above 0, and at most 1 or below it.
pub(crate) const ABOVE_0_TO_1: (Bound<f64>, Bound<f64>) =
    (Bound::Excluded(0.0), Bound::Included(1.0));
pub(crate) const BETWEEN_0_AND_1: (Bound<f64>, Bound<f64>) =
    (Bound::Excluded(0.0), Bound::Excluded(1.0));

/// Bounds in words.
fn words<T: Number>(bounds: &impl RangeBounds<T>) -> String {
    match (bounds.start_bound(), bounds.end_bound()) {
        (Bound::Included(low), Bound::Included(high)) => format!("from {low} to {high}"),
        (Bound::Included(low), Bound::Excluded(high)) => format!("from {low} to below {high}"),
        (Bound::Excluded(low), Bound::Included(high)) => format!("above {low} and up to {high}"),
        (Bound::Excluded(low), Bound::Excluded(high)) => format!("above {low} and below {high}"),
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => "within bounds".to_owned(),
    }
}
