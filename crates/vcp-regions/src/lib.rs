//! Connected regions of pixels, found in one pass over the rows of a picture.
//!
//! A region is a set of touching pixels, where corners count (8-connected). [`runs`] cuts a row into runs
//! of pixels that are in a region; [`Labels::add_row`] says of each run which region it belongs to, and of
//! two regions when they turn out to be one. What is known of a region, its area say, is kept by the
//! caller under the region's number. Only the runs of one row, and a number for each region that ever
//! began, are kept here: the picture need not be in memory.
//!
//! # Example
//!
//! ```
//! use vcp_regions::{Event, Labels, runs};
//!
//! let rows = [
//!     [1, 0, 0, 0, 1],
//!     [0, 1, 0, 1, 0], // touches the row above at corners
//!     [0, 0, 0, 0, 0],
//!     [0, 0, 1, 1, 1],
//! ];
//! let mut areas = Vec::new();
//! let mut labels = Labels::default();
//! for row in &rows {
//!     labels.add_row(runs(row, |&pixel| pixel != 0), |event| match event {
//!         Event::Run { region, columns } => {
//!             areas.resize(areas.len().max(region + 1), 0);
//!             areas[region] += columns.len();
//!         }
//!         Event::Joined { older, younger } => areas[older] += std::mem::take(&mut areas[younger]),
//!     });
//! }
//! areas.retain(|&area| area > 0);
//! assert_eq!(areas, [2, 2, 3]);
//! ```
#![forbid(unsafe_code)]

use std::ops::Range;

/// The runs of neighbouring values of `row` that are `inside`, from left to right, as ranges of columns.
pub fn runs<T>(row: &[T], inside: impl Fn(&T) -> bool) -> impl Iterator<Item = Range<usize>> {
    let mut x = 0;
    std::iter::from_fn(move || {
        let start = x + row[x..].iter().position(&inside)?;
        let length = row[start..].iter().position(|value| !inside(value));
        x = length.map_or(row.len(), |length| start + length);
        Some(start..x)
    })
}

/// What [`Labels::add_row`] finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Two regions are one. What is known of the younger belongs to the older from now on; the younger is
    /// not named again.
    Joined {
        /// The region that began first, in reading order.
        older: usize,
        /// The other.
        younger: usize,
    },
    /// A run, and the region to which it belongs as far as is known by now. Regions are numbered in
    /// reading order of their first pixels; a number that was not named before begins a region.
    Run {
        /// The region's number.
        region: usize,
        /// The run's columns.
        columns: Range<usize>,
    },
}

/// The regions found so far: a disjoint-set forest over their numbers, and the runs of the last row.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    parents: Vec<usize>,
    above: Vec<Run>,
    current: Vec<Run>,
}

#[derive(Clone, Debug)]
struct Run {
    start: usize,
    end: usize,
    region: usize,
}

impl Labels {
    /// Takes the runs of the next row, from left to right and with a gap between any two. `each` is told
    /// of every run, and before it of the regions that the run joins.
    pub fn add_row(
        &mut self,
        runs: impl IntoIterator<Item = Range<usize>>,
        mut each: impl FnMut(Event),
    ) {
        self.current.clear();
        let mut touching = 0;
        for columns in runs {
            let Range { start, end } = columns;
            // Runs above that end before this one begins, not even touching at a corner: done with them.
            while self.above.get(touching).is_some_and(|run| run.end < start) {
                touching += 1;
            }
            // The last run above that touches this one may touch the next one too: it stays.
            let mut region = None;
            for index in touching..self.above.len() {
                let run = &self.above[index];
                if run.start > end {
                    break;
                }
                let (one, other) = (run.region, region);
                let one = self.root(one);
                region = Some(match other {
                    Some(other) if other != one => {
                        let (older, younger) = (one.min(other), one.max(other));
                        self.parents[younger] = older;
                        each(Event::Joined { older, younger });
                        older
                    }
                    _ => one,
                });
            }
            let region = region.unwrap_or_else(|| {
                self.parents.push(self.parents.len());
                self.parents.len() - 1
            });
            each(Event::Run { region, columns });
            self.current.push(Run { start, end, region });
        }
        std::mem::swap(&mut self.above, &mut self.current);
    }

    /// For the number of every region that ever began, which of the regions that are left it belongs to,
    /// these counted from 0 in reading order of their first pixels.
    #[must_use]
    pub fn into_final(mut self) -> Vec<usize> {
        let mut regions = 0;
        // A root is older than its descendants, so its final number is there when they need it.
        let mut numbers = vec![0; self.parents.len()];
        for region in 0..self.parents.len() {
            let root = self.root(region);
            numbers[region] = if root == region {
                regions += 1;
                regions - 1
            } else {
                numbers[root]
            };
        }
        numbers
    }

    fn root(&mut self, mut region: usize) -> usize {
        while self.parents[region] != region {
            // Halving the path keeps later walks short.
            self.parents[region] = self.parents[self.parents[region]];
            region = self.parents[region];
        }
        region
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The region of every pixel by flooding, regions in reading order; `None` for background.
    fn flooded(mask: &[u8], width: usize) -> Vec<Option<usize>> {
        let height = mask.len() / width;
        let mut regions = vec![None; mask.len()];
        let mut count = 0;
        for first in 0..mask.len() {
            if mask[first] == 0 || regions[first].is_some() {
                continue;
            }
            let mut queue = vec![first];
            while let Some(pixel) = queue.pop() {
                if mask[pixel] == 0 || regions[pixel].is_some() {
                    continue;
                }
                regions[pixel] = Some(count);
                let (x, y) = (pixel % width, pixel / width);
                for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                    for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                        queue.push(ny * width + nx);
                    }
                }
            }
            count += 1;
        }
        regions
    }

    /// Both ways to know the regions give those of flooding: the final numbers, and what is kept of each
    /// region while it grows.
    fn check(mask: &[u8], width: usize) {
        let expected = flooded(mask, width);
        let mut labels = Labels::default();
        let mut found: Vec<(Range<usize>, usize)> = Vec::new();
        let mut pixels: Vec<Vec<usize>> = Vec::new();
        for (y, row) in mask.chunks(width).enumerate() {
            labels.add_row(runs(row, |&pixel| pixel != 0), |event| match event {
                Event::Run { region, columns } => {
                    assert!(region <= pixels.len(), "numbers are given without gaps");
                    pixels.resize(pixels.len().max(region + 1), Vec::new());
                    let run = y * width + columns.start..y * width + columns.end;
                    pixels[region].extend(run.clone());
                    found.push((run, region));
                }
                Event::Joined { older, younger } => {
                    assert!(older < younger);
                    let joined = std::mem::take(&mut pixels[younger]);
                    assert!(!joined.is_empty(), "a region is joined once");
                    pixels[older].extend(joined);
                }
            });
        }
        let numbers = labels.into_final();
        let mut by_number = vec![None; mask.len()];
        for (run, region) in found {
            by_number[run].fill(Some(numbers[region]));
        }
        assert_eq!(by_number, expected, "{width} wide: {mask:?}");
        pixels.retain(|pixels| !pixels.is_empty());
        let mut by_summary = vec![None; mask.len()];
        for (region, pixels) in pixels.iter().enumerate() {
            for &pixel in pixels {
                by_summary[pixel] = Some(region);
            }
        }
        assert_eq!(by_summary, expected, "{width} wide: {mask:?}");
    }

    #[test]
    fn borders_and_corners() {
        for (width, mask) in [
            (3, vec![1, 0, 1, 0, 1, 0, 1, 0, 1]),
            (3, vec![1, 1, 1, 1, 0, 1, 1, 1, 1]),
            // The end of a row does not touch the start of the next one.
            (4, vec![0, 0, 0, 1, 1, 0, 0, 0]),
            (4, vec![0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0]),
            // Two arms that meet late.
            (5, vec![1, 0, 0, 0, 1, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1]),
            (1, vec![255, 0, 255]),
            (1, vec![7]),
            (2, vec![0, 0]),
        ] {
            check(&mask, width);
        }
    }

    proptest! {
        #[test]
        fn equals_flooding(
            (width, mask) in (1_usize..12, 1_usize..12).prop_flat_map(|(width, height)| {
                (Just(width), prop::collection::vec(0_u8..2, width * height))
            })
        ) {
            check(&mask, width);
        }
    }
}

/// The example of README.md, so that it is compiled too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
