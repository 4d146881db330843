//! Windows along one direction, and how they are blended.

use std::ops::Range;

/// Windows along a line of pixels: all of one length, the first at its begin and the last at its
/// end, spread evenly between.
///
/// A window counts most in its middle and least at its ends, in a straight ramp; each pixel's
/// weights are divided by their sum. Where two windows overlap, one fades into the other linearly.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    size: usize,
    length: usize,
    starts: Vec<usize>,
    /// Of each pixel of the line: the sum of the ramps of all windows over it.
    totals: Vec<f32>,
}

impl Line {
    /// How many windows there are on `size` pixels.
    pub(super) fn count(size: usize, tile: usize, overlap: f64) -> usize {
        let length = tile.min(size);
        // What lies beyond the first window, in steps that leave the overlap.
        let step = (length as f64 * (1.0 - overlap)) as usize;
        1 + (size - length).div_ceil(step.max(1))
    }

    /// Windows of `tile` pixels on a line of `size`; one that is shorter has a single one.
    pub(super) fn new(size: usize, tile: usize, overlap: f64) -> Self {
        let length = tile.min(size);
        let last = Self::count(size, tile, overlap) - 1;
        let starts: Vec<_> = (0..=last)
            .map(|index| (index * (size - length)).checked_div(last).unwrap_or(0))
            .collect();
        let mut totals = vec![0.0; size];
        for start in &starts {
            for (position, total) in totals[*start..][..length].iter_mut().enumerate() {
                *total += ramp(position, length);
            }
        }
        Self {
            size,
            length,
            starts,
            totals,
        }
    }

    /// Pixels of the line.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Pixels of a window.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Number of windows, at least one.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The windows with their numbers.
    pub(super) fn windows(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        let starts = self.starts.iter().enumerate();
        starts.map(|(index, &start)| (index, start..start + self.length))
    }

    /// Where a window begins; none if there is no such window.
    pub(super) fn start(&self, window: usize) -> Option<usize> {
        self.starts.get(window).copied()
    }

    /// The first window that reaches past `position`.
    pub(super) fn first_over(&self, position: usize) -> usize {
        self.starts
            .partition_point(|start| start + self.length <= position)
    }

    /// The share of the window that begins at `start` in the pixel `position`, which lies in it.
    /// The shares of all windows over a pixel sum to 1, up to rounding.
    pub(super) fn weight(&self, start: usize, position: usize) -> f32 {
        ramp(position - start, self.length) / self.totals[position]
    }
}

/// Twice the distance of a pixel's centre to the nearer end of its window: whole numbers, so that
/// the only window over a pixel has the weight 1 exactly.
fn ramp(position: usize, length: usize) -> f32 {
    (2 * position.min(length - 1 - position) + 1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places() {
        for (size, tile, overlap, starts) in [
            (1, 518, 0.25, &[0][..]),
            (518, 518, 0.25, &[0]),
            (519, 518, 0.25, &[0, 1]),
            (906, 518, 0.25, &[0, 388]),
            (907, 518, 0.25, &[0, 194, 389]),
            (10, 5, 0.0, &[0, 5]),
            (11, 5, 0.0, &[0, 3, 6]),
            (13, 10, 0.9, &[0, 1, 2, 3]),
            (3, 1, 0.9, &[0, 1, 2]),
        ] {
            let line = Line::new(size, tile, overlap);
            assert_eq!(line.starts, starts, "{size} pixels, tiles of {tile}");
        }
    }

    #[test]
    fn two_windows_fade_linearly() {
        let line = Line::new(12, 8, 0.5);
        let weights = |start| (4..8).map(move |x| (x, start));
        let close = |found: f32, expected: f32| assert!((found - expected).abs() < 1e-6);
        for (x, start) in weights(0) {
            close(line.weight(start, x), (7.5 - x as f32) / 4.0);
        }
        for (x, start) in weights(4) {
            close(line.weight(start, x), (x as f32 - 3.5) / 4.0);
        }
        close(line.weight(0, 3), 1.0);
    }

    proptest! {
        #[test]
        fn weights_sum_to_one(size in 1_usize..2000, tile in 1_usize..600, overlap in 0.0..=0.95) {
            let line = Line::new(size, tile, overlap);
            prop_assert_eq!(line.len(), Line::count(size, tile, overlap));
            prop_assert_eq!(line.windows().next().map(|(_, range)| range.start), Some(0));
            prop_assert_eq!(line.windows().last().map(|(_, range)| range.end), Some(size));
            let step = (tile as f64 * (1.0 - overlap)).floor().max(1.0) as usize;
            prop_assert!(line.starts.windows(2).all(|pair| (1..=step).contains(&(pair[1] - pair[0]))));
            for x in 0..size {
                let over = line.windows().filter(|(_, range)| range.contains(&x));
                let weights: Vec<_> = over.map(|(_, range)| line.weight(range.start, x)).collect();
                prop_assert!(weights.iter().all(|weight| *weight > 0.0));
                let sum: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
                prop_assert!((sum - 1.0).abs() < 3e-7, "{} at {}", sum, x);
                let first = line.windows().position(|(_, range)| range.end > x);
                prop_assert_eq!(first, Some(line.first_over(x)));
            }
        }
    }
}
