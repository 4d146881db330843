//! Connected regions of a map above a threshold, found in one pass over its rows.

use std::cmp::Reverse;
use std::ops::Range;

use vcp_regions::{Event, Labels, runs};

use crate::MapRows;
use crate::map_rows::for_each_row;

/// A rectangle of whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundingBox {
    /// Leftmost column.
    pub x: usize,
    /// Topmost row.
    pub y: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// A set of touching pixels (corners count) whose values reach the threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    /// The smallest rectangle that holds the region.
    pub bounding_box: BoundingBox,
    /// Number of pixels.
    pub area: u64,
    /// Mean position (x, y) of its pixels, each counted alike; whole numbers are pixel centres.
    pub centroid: (f64, f64),
    /// Largest value.
    pub peak: f32,
    /// Where (x, y) the largest value stands; the first such pixel in reading order.
    pub peak_position: (usize, usize),
    /// Mean value.
    pub mean: f32,
}

/// The 8-connected regions of pixels whose value is at least `threshold` (a NaN never is), the
/// largest first; of equal ones, the one whose topmost pixel comes first in reading order.
///
/// Together their areas are the number of pixels in [`mask_picture`](crate::mask_picture). Memory
/// grows with the width and the number of runs of such pixels, not with the number of pixels.
#[must_use]
pub fn regions(map: &(impl MapRows + ?Sized), threshold: f32) -> Vec<Region> {
    regions_of_area(map, threshold, 0).0
}

/// As [`regions`], of at least `min_area` pixels each; and those that are smaller, for which memory grows with the
/// number of all runs if `min_area` is above 1.
#[must_use]
pub fn regions_of_area(
    map: &(impl MapRows + ?Sized),
    threshold: f32,
    min_area: u64,
) -> (Vec<Region>, SmallRegions) {
    let mut all_runs: Vec<(usize, Range<usize>, usize)> = Vec::new();
    let mut labels = Labels::default();
    let mut summaries: Vec<Summary> = Vec::new();
    for_each_row(map, |y, values| {
        // Not the same as `value < threshold` turned around: a NaN is in no region.
        labels.add_row(
            runs(values, |&value| value >= threshold),
            |event| match event {
                Event::Run { region, columns } => {
                    if region == summaries.len() {
                        summaries.push(Summary::default());
                    }
                    summaries[region].extend(y, columns.start, &values[columns.clone()]);
                    if min_area > 1 {
                        all_runs.push((y, columns, region));
                    }
                }
                Event::Joined { older, younger } => {
                    let joined = std::mem::take(&mut summaries[younger]);
                    summaries[older].merge(&joined);
                }
            },
        );
    });
    // Regions are numbered in reading order of the first pixel, and sorting keeps that order.
    let grown = summaries.iter().filter(|summary| summary.area > 0);
    let mut regions: Vec<Region> = grown.map(Summary::to_region).collect();
    let numbers = labels.into_final();
    let is_small = |region: usize| regions[numbers[region]].area < min_area;
    let small = all_runs.into_iter().filter(|run| is_small(run.2));
    let small = SmallRegions {
        runs: small.map(|(y, columns, _)| (y, columns)).collect(),
        below: threshold.next_down(),
    };
    regions.retain(|region| region.area >= min_area);
    regions.sort_by_key(|region| Reverse(region.area));
    (regions, small)
}

/// The pixels of regions that are too small to be reported.
#[derive(Clone, Debug, PartialEq)]
pub struct SmallRegions {
    /// Row and columns, in reading order.
    runs: Vec<(usize, Range<usize>)>,
    /// The largest value that does not reach the threshold.
    below: f32,
}

impl SmallRegions {
    /// The map that they were found in, without them: their pixels have the largest value that does not reach the
    /// threshold.
    #[must_use]
    pub fn cleared<'a>(&'a self, map: &'a dyn MapRows) -> ClearedMap<'a> {
        ClearedMap { map, small: self }
    }
}

/// A map without its small regions ([`SmallRegions::cleared`]).
pub struct ClearedMap<'a> {
    map: &'a dyn MapRows,
    small: &'a SmallRegions,
}

impl MapRows for ClearedMap<'_> {
    fn width(&self) -> usize {
        self.map.width()
    }

    fn height(&self) -> usize {
        self.map.height()
    }

    fn row(&self, y: usize, out: &mut [f32]) {
        self.map.row(y, out);
        let runs = &self.small.runs;
        let first = runs.partition_point(|run| run.0 < y);
        for (_, columns) in runs[first..].iter().take_while(|run| run.0 == y) {
            out[columns.clone()].fill(self.small.below);
        }
    }
}

/// What is remembered of a region while it grows.
struct Summary {
    left: usize,
    right: usize,
    top: usize,
    bottom: usize,
    area: u64,
    sum_x: u128,
    sum_y: u128,
    sum: f64,
    peak: f32,
    /// (row, column): compares in reading order.
    peak_at: (usize, usize),
}

impl Default for Summary {
    fn default() -> Self {
        Self {
            left: usize::MAX,
            right: 0,
            top: usize::MAX,
            bottom: 0,
            area: 0,
            sum_x: 0,
            sum_y: 0,
            sum: 0.0,
            peak: f32::NEG_INFINITY,
            peak_at: (usize::MAX, usize::MAX),
        }
    }
}

impl Summary {
    /// Adds the pixels of row `y` from column `start` on.
    fn extend(&mut self, y: usize, start: usize, values: &[f32]) {
        let count = values.len() as u128;
        self.left = self.left.min(start);
        self.right = self.right.max(start + values.len());
        self.top = self.top.min(y);
        self.bottom = self.bottom.max(y + 1);
        self.area += values.len() as u64;
        // start + (start + 1) + … : an arithmetic series.
        self.sum_x += count * start as u128 + count * count.saturating_sub(1) / 2;
        self.sum_y += count * y as u128;
        for (offset, &value) in values.iter().enumerate() {
            self.sum += f64::from(value);
            self.offer_peak(value, (y, start + offset));
        }
    }

    fn merge(&mut self, other: &Summary) {
        self.left = self.left.min(other.left);
        self.right = self.right.max(other.right);
        self.top = self.top.min(other.top);
        self.bottom = self.bottom.max(other.bottom);
        self.area += other.area;
        self.sum_x += other.sum_x;
        self.sum_y += other.sum_y;
        self.sum += other.sum;
        self.offer_peak(other.peak, other.peak_at);
    }

    fn offer_peak(&mut self, value: f32, at: (usize, usize)) {
        if value > self.peak || (value >= self.peak && at < self.peak_at) {
            self.peak = value;
            self.peak_at = at;
        }
    }

    fn to_region(&self) -> Region {
        let area = self.area as f64;
        Region {
            bounding_box: BoundingBox {
                x: self.left,
                y: self.top,
                width: self.right - self.left,
                height: self.bottom - self.top,
            },
            area: self.area,
            centroid: (self.sum_x as f64 / area, self.sum_y as f64 / area),
            peak: self.peak,
            peak_position: (self.peak_at.1, self.peak_at.0),
            mean: (self.sum / area) as f32,
        }
    }
}
