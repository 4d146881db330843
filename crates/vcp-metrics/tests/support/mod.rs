//! Categories made up for tests, and every figure stated plainly: one pass over all pixels for each
//! threshold, no sorting of pixels, no running sums.

#![allow(clippy::unwrap_used, dead_code)] // helpers of tests, not all used by each

use proptest::prelude::*;
use vcp_metrics::{Collector, ImageMap, PixelOptions, PixelReport};

/// A map with its truth.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) map: Vec<f32>,
    pub(crate) mask: Vec<u8>,
}

impl Image {
    pub(crate) fn as_map(&self) -> ImageMap<'_> {
        ImageMap {
            map: &self.map,
            mask: (!self.is_normal()).then_some(&self.mask[..]),
            width: self.width,
            height: self.height,
        }
    }

    fn is_normal(&self) -> bool {
        self.mask.iter().all(|&pixel| pixel == 0)
    }

    /// The pixels of each region, found by flooding.
    pub(crate) fn regions(&self) -> Vec<Vec<usize>> {
        let mut seen = vec![false; self.mask.len()];
        let mut regions = Vec::new();
        for first in 0..self.mask.len() {
            let mut region = Vec::new();
            let mut queue = vec![first];
            while let Some(pixel) = queue.pop() {
                if seen[pixel] || self.mask[pixel] == 0 {
                    continue;
                }
                seen[pixel] = true;
                region.push(pixel);
                let (x, y) = (pixel % self.width, pixel / self.width);
                for other in 0..self.mask.len() {
                    let (ox, oy) = (other % self.width, other / self.width);
                    if x.abs_diff(ox) <= 1 && y.abs_diff(oy) <= 1 {
                        queue.push(other);
                    }
                }
            }
            if !region.is_empty() {
                regions.push(region);
            }
        }
        regions
    }
}

pub(crate) fn report(images: &[Image], options: PixelOptions) -> PixelReport {
    let mut collector = Collector::new(options).unwrap();
    for image in images {
        collector.add(&image.as_map()).unwrap();
    }
    collector.report()
}

/// Every figure, `None` where it does not exist.
#[derive(Debug)]
pub(crate) struct Plain<'a> {
    pub(crate) images: &'a [Image],
    pub(crate) options: PixelOptions,
}

impl Plain<'_> {
    fn pixels(&self) -> impl Iterator<Item = (f32, bool)> {
        self.images.iter().flat_map(|image| {
            let labels = image.mask.iter().map(|&pixel| pixel != 0);
            image.map.iter().copied().zip(labels)
        })
    }

    fn count(&self, counts: impl Fn(f32, bool) -> bool) -> f64 {
        self.pixels()
            .filter(|&(value, anomalous)| counts(value, anomalous))
            .count() as f64
    }

    fn positives(&self) -> f64 {
        self.count(|_, anomalous| anomalous)
    }

    fn negatives(&self) -> f64 {
        self.count(|_, anomalous| !anomalous)
    }

    /// Distinct values, largest first.
    fn values(&self) -> Vec<f32> {
        let mut values: Vec<f32> = Vec::new();
        for (value, _) in self.pixels() {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        values.sort_by(|a, b| b.total_cmp(a));
        values
    }

    pub(crate) fn auroc(&self) -> Option<f64> {
        let pairs = self.positives() * self.negatives();
        let mut wins = 0.0;
        for (positive, anomalous) in self.pixels() {
            for (negative, other) in self.pixels() {
                if anomalous && !other {
                    wins += if positive > negative {
                        1.0
                    } else if positive < negative {
                        0.0
                    } else {
                        0.5
                    };
                }
            }
        }
        (pairs > 0.0).then(|| wins / pairs)
    }

    pub(crate) fn average_precision(&self) -> Option<f64> {
        let positives = self.positives();
        let (mut sum, mut last) = (0.0, 0.0);
        for threshold in self.values() {
            let found = self.count(|value, anomalous| anomalous && value >= threshold);
            let predicted = self.count(|value, _| value >= threshold);
            sum += (found - last) / positives * (found / predicted);
            last = found;
        }
        (positives > 0.0).then_some(sum)
    }

    /// F1, its threshold and the `IoU` above it, by the official code's choice.
    pub(crate) fn best(&self) -> Option<(f64, f64, f64)> {
        let positives = self.positives();
        if positives == 0.0 {
            return None;
        }
        let mut best = (-1.0, 0.0, 0.0);
        let mut thresholds = self.values();
        thresholds.reverse();
        for threshold in thresholds {
            let found = self.count(|value, anomalous| anomalous && value >= threshold);
            let predicted = self.count(|value, _| value >= threshold);
            let (precision, recall) = (found / predicted, found / positives);
            let official = 2.0 * precision * recall / (precision + recall + 1e-8);
            if official > best.0 {
                let both = self.count(|value, anomalous| anomalous && value > threshold);
                let either = self.count(|value, anomalous| anomalous || value > threshold);
                best = (official, f64::from(threshold), both / either);
            }
        }
        Some(best)
    }

    /// False-positive rate and mean recall of the regions, for what `is_above` says is predicted.
    fn overlap(&self, is_above: impl Fn(f32) -> bool) -> (f64, f64) {
        let rate = self.count(|value, anomalous| !anomalous && is_above(value)) / self.negatives();
        let (mut recalls, mut regions) = (0.0, 0.0);
        for image in self.images {
            for region in image.regions() {
                let found = region.iter().filter(|&&pixel| is_above(image.map[pixel]));
                recalls += found.count() as f64 / region.len() as f64;
                regions += 1.0;
            }
        }
        (rate, recalls / regions)
    }

    /// False-positive rate, recall and precision of a threshold.
    pub(crate) fn point(&self, threshold: f32) -> (f64, f64, f64) {
        let found = self.count(|value, anomalous| anomalous && value >= threshold);
        let predicted = self.count(|value, _| value >= threshold);
        (
            (predicted - found) / self.negatives().max(1.0),
            found / self.positives().max(1.0),
            found / predicted,
        )
    }

    fn has_both(&self) -> bool {
        self.positives() > 0.0 && self.negatives() > 0.0
    }

    pub(crate) fn aupro(&self) -> Option<f64> {
        if !self.has_both() {
            return None;
        }
        let limit = self.options.fpr_limit;
        let mut area = 0.0;
        let (mut last_rate, mut last_overlap) = (0.0, 0.0);
        for threshold in self.values() {
            let (mut rate, mut overlap) = self.overlap(|value| value >= threshold);
            if last_rate < limit {
                if rate > limit {
                    let share = (limit - last_rate) / (rate - last_rate);
                    overlap = last_overlap + share * (overlap - last_overlap);
                    rate = limit;
                }
                area += (rate - last_rate) * (overlap + last_overlap) / 2.0;
            }
            (last_rate, last_overlap) = (rate, overlap);
        }
        Some(area / limit)
    }

    pub(crate) fn aupro_steps(&self) -> Option<f64> {
        let values = self.values();
        let (largest, smallest) = (values[0], values[values.len() - 1]);
        if !self.has_both() || largest <= smallest {
            return None;
        }
        let step = (largest - smallest) / self.options.aupro_steps as f32;
        let count = f64::from((largest - smallest) / step).ceil() as usize;
        let mut points = Vec::new();
        for index in 0..count {
            let second = f64::from(smallest + step) - f64::from(smallest);
            let threshold = f64::from(smallest) + index as f64 * second;
            let point = self.overlap(|value| f64::from(value) > threshold);
            if point.0 < self.options.fpr_limit {
                points.push(point);
            }
        }
        let rates = || points.iter().map(|point| point.0);
        let (low, high) = (
            rates().fold(f64::INFINITY, f64::min),
            rates().fold(f64::NEG_INFINITY, f64::max),
        );
        if points.len() < 2 || high <= low {
            return None;
        }
        let mut area = 0.0;
        for pair in points.windows(2) {
            area += (pair[0].0 - pair[1].0) / (high - low) * (pair[0].1 + pair[1].1) / 2.0;
        }
        Some(area)
    }

    /// For every image its AUPIMO; `None` for all if it does not exist.
    pub(crate) fn aupimo(&self) -> Option<Vec<Option<f64>>> {
        let [lower, upper] = self.options.aupimo_bounds;
        let normals: Vec<&Image> = self
            .images
            .iter()
            .filter(|image| image.is_normal())
            .collect();
        if normals.is_empty() || normals.len() == self.images.len() {
            return None;
        }
        let reach = |image: &Image, threshold: f32, anomalous_only: bool| {
            let pixels = image.map.iter().zip(&image.mask);
            let counted = pixels.filter(|&(_, &mask)| mask != 0 || !anomalous_only);
            let (mut reached, mut all) = (0.0, 0.0);
            for (&value, _) in counted {
                reached += f64::from(u8::from(value >= threshold));
                all += 1.0;
            }
            reached / all
        };
        let rate = |threshold: f32| {
            let sum: f64 = normals
                .iter()
                .map(|image| reach(image, threshold, false))
                .sum();
            sum / normals.len() as f64
        };
        let values = self.values();
        let rates: Vec<f64> = values.iter().map(|&threshold| rate(threshold)).collect();
        let smallest = rates.iter().copied().find(|&rate| rate > 0.0).unwrap();
        if smallest > lower * (1.0 + 1e-9) {
            return None;
        }
        let figures = self.images.iter().map(|image| {
            if image.is_normal() {
                return None;
            }
            let recalls: Vec<f64> = values
                .iter()
                .map(|&threshold| reach(image, threshold, true))
                .collect();
            let mut area = 0.0;
            for at in 1..values.len() {
                if rates[at] <= lower || rates[at - 1] >= upper || rates[at - 1] >= rates[at] {
                    continue;
                }
                // Recall is a straight line over the logarithm of the rate, cut at both bounds.
                let (start, end) = (rates[at - 1].ln(), rates[at].ln());
                let recall = |x: f64| {
                    recalls[at - 1] + (recalls[at] - recalls[at - 1]) * (x - start) / (end - start)
                };
                let (from, to) = (start.max(lower.ln()), end.min(upper.ln()));
                area += (to - from) * (recall(from) + recall(to)) / 2.0;
            }
            Some(area / (upper / lower).ln())
        });
        Some(figures.collect())
    }
}

/// Values of a map: from few levels, so that most are equal; from all of 0..1; or so close together
/// that they share bins.
fn values(pixels: usize) -> impl Strategy<Value = Vec<f32>> {
    let levels = prop::collection::vec((0_u8..6).prop_map(|level| f32::from(level) / 8.0), pixels);
    let any = prop::collection::vec(0.0_f32..=1.0, pixels);
    let close = prop::collection::vec(
        (0_u8..3, 0_u8..4).prop_map(|(level, ulp)| {
            let value = f32::from(level) / 4.0 + 0.125;
            f32::from_bits(value.to_bits() + u32::from(ulp))
        }),
        pixels,
    );
    prop_oneof![levels, any, close]
}

fn masks(pixels: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        2 => Just(vec![0; pixels]),
        1 => Just(vec![1; pixels]),
        5 => prop::collection::vec(prop_oneof![3 => Just(0_u8), 1 => Just(255)], pixels),
    ]
}

pub(crate) fn images(count: usize, side: usize) -> impl Strategy<Value = Vec<Image>> {
    let image = (1..=side, 1..=side).prop_flat_map(|(width, height)| {
        let pixels = width * height;
        (values(pixels), masks(pixels)).prop_map(move |(map, mask)| Image {
            width,
            height,
            map,
            mask,
        })
    });
    prop::collection::vec(image, 1..=count)
}

pub(crate) fn options() -> impl Strategy<Value = PixelOptions> {
    let limits = prop_oneof![Just(0.3), Just(1.0), 0.01..1.0];
    let bounds = prop_oneof![
        Just([0.05, 0.5]),
        Just([1e-5, 1e-4]),
        (0.01..0.4, 0.4..=1.0).prop_map(|(lower, upper)| [lower, upper])
    ];
    (limits, 1..40_usize, bounds).prop_map(|(fpr_limit, aupro_steps, aupimo_bounds)| PixelOptions {
        fpr_limit,
        aupro_steps,
        aupimo_bounds,
        curve_points: 50,
    })
}

/// Smooth maps with soft-edged defects, as real ones are: the first `normal` images have none.
pub(crate) fn smooth_images(normal: usize, anomalous: usize, side: usize) -> Vec<Image> {
    (0..normal + anomalous)
        .map(|number| {
            let phase = number as f32 * 1.7;
            let (cx, cy) = (
                side as f32 * (0.5 + 0.3 * phase.sin()),
                side as f32 * (0.5 + 0.3 * phase.cos()),
            );
            let radius = side as f32 * 0.1;
            let mut map = Vec::with_capacity(side * side);
            let mut mask = Vec::with_capacity(side * side);
            for y in 0..side {
                for x in 0..side {
                    let (x, y) = (x as f32, y as f32);
                    let waves = (x * 0.11 + phase).sin() * (y * 0.07 - phase).cos();
                    let grain = ((x * 12.9 + y * 78.2 + phase).sin() * 43_758.547)
                        .fract()
                        .abs();
                    let distance = (x - cx).hypot(y - cy) / radius;
                    let defect = number >= normal;
                    let bump = if defect {
                        (-distance * distance).exp()
                    } else {
                        0.0
                    };
                    map.push(0.2 + 0.1 * waves + 0.05 * grain + 0.5 * bump);
                    mask.push(u8::from(defect && distance < 1.0));
                }
            }
            Image {
                width: side,
                height: side,
                map,
                mask,
            }
        })
        .collect()
}
