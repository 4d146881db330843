//! Every value counts: all figures of a category from sorted values.

use rayon::prelude::*;

use crate::error::Error;
use crate::key;
use crate::outcome::{Figure, Outcome, Undefined};
use crate::per_image::RateRange;
use crate::regions;
use crate::report::{ImageMap, PixelOptions, PixelReport};
use crate::scan::{Group, Scan};
use crate::sort::{self, HALF, Merge};
use crate::steps::{self, Step};
use crate::totals::Totals;

/// Collects the images of one category; maps need not be kept by the caller.
///
/// A pixel takes 4 bytes here, 8 if it is anomalous. Making a report takes 4 more for every normal
/// pixel (8 for a moment, at worst, if the maps of the normal images are nearly constant): 12 bytes
/// per pixel are never exceeded, apart from what one image needs while it is added and tables of
/// fixed size.
#[derive(Clone, Debug)]
pub struct Collector {
    options: PixelOptions,
    images: Vec<ImagePixels>,
}

/// The pixels of one image, without their places.
#[derive(Clone, Debug)]
struct ImagePixels {
    pixels: u64,
    /// Keys of the normal pixels, in reading order.
    normal: Vec<u32>,
    /// Key and region of each anomalous pixel, `key << 32 | region`, sorted.
    anomalous: Vec<u64>,
    /// 1 / area of each region.
    region_weights: Vec<f64>,
    smallest: u32,
    largest: u32,
    is_normal: bool,
}

impl ImagePixels {
    fn new(image: &ImageMap<'_>, position: usize) -> Result<Self, Error> {
        image.check(position)?;
        let map = image.map;
        let regions = image
            .mask
            .map(|mask| regions::find(mask, image.width))
            .unwrap_or_default();
        let area = regions.area() as usize;
        let (mut smallest, mut largest) = (u32::MAX, 0);
        let mut convert = |value: f32| {
            let key = key::from_value(value);
            smallest = smallest.min(key);
            largest = largest.max(key);
            key
        };
        let mut normal = Vec::with_capacity(map.len() - area);
        regions.for_each_gap(map.len(), |start, end| {
            normal.extend(map[start..end].iter().map(|&value| convert(value)));
        });
        let mut anomalous = Vec::with_capacity(area);
        for run in &regions.runs {
            let values = &map[run.start..run.end];
            anomalous.extend(
                values
                    .iter()
                    .map(|&value| u64::from(convert(value)) << 32 | u64::from(run.region)),
            );
        }
        anomalous.sort_unstable();
        Ok(Self {
            pixels: map.len() as u64,
            normal,
            anomalous,
            region_weights: regions
                .areas
                .iter()
                .map(|&area| 1.0 / area as f64)
                .collect(),
            smallest,
            largest,
            is_normal: image.mask.is_none(),
        })
    }
}

impl Collector {
    /// An empty category.
    ///
    /// # Errors
    /// If an option is outside its range.
    pub fn new(options: PixelOptions) -> Result<Self, Error> {
        options.check()?;
        Ok(Self {
            options,
            images: Vec::new(),
        })
    }

    /// Adds an image.
    ///
    /// # Errors
    /// If sizes do not fit or a value is not finite; nothing is added then.
    pub fn add(&mut self, image: &ImageMap<'_>) -> Result<(), Error> {
        self.images
            .push(ImagePixels::new(image, self.images.len())?);
        Ok(())
    }

    /// Adds several images, looking at them on all cores.
    ///
    /// # Errors
    /// As [`add`](Self::add), for the first image that is wrong; none is added then.
    pub fn add_all(&mut self, images: &[ImageMap<'_>]) -> Result<(), Error> {
        let first = self.images.len();
        let added: Vec<Result<ImagePixels, Error>> = images
            .par_iter()
            .enumerate()
            .map(|(index, image)| ImagePixels::new(image, first + index))
            .collect();
        let added: Vec<ImagePixels> = added.into_iter().collect::<Result<_, _>>()?;
        self.images.extend(added);
        Ok(())
    }

    /// Number of images added.
    #[must_use]
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether no image was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// The figures of all images.
    #[must_use]
    pub fn report(&self) -> PixelReport {
        self.report_of(|_| true)
    }

    /// The figures of those images, counted from 0 in the order of adding, that `wanted` says yes
    /// to: one kind of defect against all normal images, for example.
    #[must_use]
    pub fn report_of(&self, wanted: impl Fn(usize) -> bool) -> PixelReport {
        let positions: Vec<usize> = (0..self.images.len()).filter(|&i| wanted(i)).collect();
        let images: Vec<&ImagePixels> = positions.iter().map(|&i| &self.images[i]).collect();
        let walk = Walk::new(&self.options, &images);
        let (mut report, by_image) = walk.run(&images);
        report.aupimo_by_image = vec![None; self.images.len()];
        for (&position, aupimo) in positions.iter().zip(by_image) {
            report.aupimo_by_image[position] = aupimo;
        }
        report
    }
}

/// What has to be known before the walk from the largest value to the smallest.
struct Walk<'a> {
    options: &'a PixelOptions,
    totals: Totals,
    rates: Rates,
    /// Keys of all normal pixels, smallest first.
    normal: Vec<u32>,
    /// Keys of the evenly spaced thresholds, smallest first.
    step_keys: Vec<u32>,
}

impl<'a> Walk<'a> {
    fn new(options: &'a PixelOptions, images: &[&ImagePixels]) -> Self {
        let positives: usize = images.iter().map(|image| image.anomalous.len()).sum();
        let regions: usize = images.iter().map(|image| image.region_weights.len()).sum();
        let smallest = images.iter().map(|image| image.smallest).min();
        let largest = images.iter().map(|image| image.largest).max();
        let step_keys = match (smallest, largest) {
            (Some(smallest), Some(largest)) => steps::keys(
                key::to_value(smallest),
                key::to_value(largest),
                options.aupro_steps,
            ),
            _ => Vec::new(),
        };
        let rates = Rates::new(options.aupimo_bounds, images);
        let pieces: Vec<&[u32]> = images.iter().map(|image| image.normal.as_slice()).collect();
        let normal = sort::sorted(&pieces);
        Self {
            options,
            totals: Totals {
                positives: positives as u64,
                negatives: normal.len() as u64,
                regions: regions as u64,
            },
            rates,
            normal,
            step_keys,
        }
    }

    /// The report, but for the images' own figures, which are beside it.
    fn run(mut self, images: &[&ImagePixels]) -> (PixelReport, Vec<Option<f64>>) {
        let totals = self.totals;
        let mut scan = Scan::new(totals, self.options.fpr_limit, self.options.curve_points);
        let mut overlaps = StepOverlaps::new(&self.step_keys);
        let mut coverages = vec![0.0; images.len()];
        let mut recalls = 0.0;
        // Normal pixels not yet walked past are `normal[..left]`.
        let mut left = self.normal.len();
        let mut merge = Merge::new(images.iter().map(|image| image.anomalous.as_slice()));
        while let Some(largest) = merge.peek() {
            let value_key = (largest >> 32) as u32;
            let above = left;
            while left > 0 && self.normal[left - 1] > value_key {
                left -= 1;
            }
            self.push_normal(&mut scan, left, above);
            let equal = left;
            while left > 0 && self.normal[left - 1] == value_key {
                left -= 1;
            }
            overlaps.advance(value_key, recalls);
            let coverage = self.rates.coverage(value_key);
            let (mut positives, mut weight) = (0, 0.0);
            while merge
                .peek()
                .is_some_and(|next| (next >> 32) as u32 == value_key)
            {
                let Some((element, image)) = merge.next() else {
                    break;
                };
                positives += 1;
                weight += images[image].region_weights[(element & 0xFFFF_FFFF) as usize];
                coverages[image] += coverage;
            }
            recalls += weight;
            scan.push(&Group {
                threshold: key::to_value(value_key),
                positives,
                negatives: (equal - left) as u64,
                region_weight: weight,
                mixed: false,
            });
        }
        self.push_normal(&mut scan, 0, left);
        overlaps.finish(recalls);
        let ranking = scan.finish();
        let f1 = ranking.f1;
        let normal_images = images.iter().filter(|image| image.is_normal).count();
        let (aupimo, by_image) = self.rates.finish(images, &coverages);
        let report = PixelReport {
            images: images.len(),
            normal_images,
            pixels: totals.positives + totals.negatives,
            anomalous_pixels: totals.positives,
            regions: totals.regions,
            auroc: ranking.auroc,
            average_precision: ranking.average_precision,
            f1_max: f1.map(|best| Figure::exact(best.f1)),
            threshold: f1.map(|best| Figure::exact(f64::from(best.threshold))),
            iou: f1.map(|best| Figure::exact(best.iou_above)),
            aupro_steps: self.aupro_steps(&overlaps.found),
            aupro: ranking.aupro,
            aupimo,
            aupimo_by_image: Vec::new(),
            curve: ranking.curve,
        };
        (report, by_image)
    }

    /// Normal pixels with values that no anomalous pixel has: one straight piece of every curve.
    fn push_normal(&self, scan: &mut Scan, from: usize, to: usize) {
        if from < to {
            scan.push(&Group {
                threshold: key::to_value(self.normal[from]),
                positives: 0,
                negatives: (to - from) as u64,
                region_weight: 0.0,
                mixed: false,
            });
        }
    }

    fn aupro_steps(&self, recalls: &[f64]) -> Outcome {
        let totals = &self.totals;
        if totals.positives == 0 {
            return Err(Undefined::NoAnomalousPixels);
        }
        if totals.negatives == 0 {
            return Err(Undefined::NoNormalPixels);
        }
        if self.step_keys.is_empty() {
            return Err(Undefined::ConstantMaps);
        }
        let exact = |value: f64| (value, value);
        let steps: Vec<Step> = self
            .step_keys
            .iter()
            .zip(recalls)
            .map(|(&step, &recalls)| {
                let not_above = self.normal.partition_point(|&key| key <= step);
                let above = self.normal.len() - not_above;
                Step {
                    rate: exact(above as f64 / totals.negatives as f64),
                    overlap: exact(recalls / totals.regions as f64),
                }
            })
            .collect();
        steps::area(&steps, self.options.fpr_limit)
    }
}

/// Sums of recalls above each of the evenly spaced thresholds.
struct StepOverlaps<'a> {
    keys: &'a [u32],
    /// In the order of `keys`; those not walked past yet are `keys[..left]`.
    found: Vec<f64>,
    left: usize,
}

impl<'a> StepOverlaps<'a> {
    fn new(keys: &'a [u32]) -> Self {
        Self {
            keys,
            found: vec![0.0; keys.len()],
            left: keys.len(),
        }
    }

    /// `recalls` is the sum over all values above `value_key`, the next value to come.
    fn advance(&mut self, value_key: u32, recalls: f64) {
        while self.left > 0 && self.keys[self.left - 1] >= value_key {
            self.left -= 1;
            self.found[self.left] = recalls;
        }
    }

    fn finish(&mut self, recalls: f64) {
        self.advance(0, recalls);
    }
}

/// The false-positive rate of the normal images at their largest values.
struct Rates {
    range: RateRange,
    /// Distinct keys, largest first, with the rate at that threshold; up to the upper bound.
    levels: Vec<(u32, f64)>,
    /// Whether a level is known that tells rates near the lower bound from 0.
    defined: Result<(), Undefined>,
    /// The next level to come, and the rate before it.
    next: usize,
    rate: f64,
}

impl Rates {
    fn new(bounds: [f64; 2], images: &[&ImagePixels]) -> Self {
        let range = RateRange::new(bounds);
        let normals: Vec<&ImagePixels> = images
            .iter()
            .copied()
            .filter(|image| image.is_normal)
            .collect();
        let levels = Self::levels(bounds[1], &normals);
        let nothing_to_find = images.iter().all(|image| image.anomalous.is_empty());
        let defined = match levels.first() {
            _ if nothing_to_find => Err(Undefined::NoAnomalousPixels),
            None => Err(Undefined::NoNormalImages),
            Some(&(_, smallest)) => range.check_smallest(smallest),
        };
        Self {
            range,
            levels,
            defined,
            next: 0,
            rate: 0.0,
        }
    }

    fn levels(upper: f64, normals: &[&ImagePixels]) -> Vec<(u32, f64)> {
        let weight = |image: &ImagePixels| 1.0 / (image.pixels as f64 * normals.len() as f64);
        let mut weights = vec![0.0; HALF];
        for image in normals {
            let weight = weight(image);
            for &key in &image.normal {
                weights[(key >> 16) as usize] += weight;
            }
        }
        // Everything from the upper half on in which the rate passes the bound.
        let mut rate = 0.0;
        let half = weights.iter().rposition(|weight| {
            rate += weight;
            rate > upper * (1.0 + 1e-6)
        });
        let cut = (half.unwrap_or(0) as u32) << 16;
        let count: usize = normals
            .iter()
            .map(|image| image.normal.iter().filter(|&&key| key >= cut).count())
            .sum();
        let mut top: Vec<(u32, u32)> = Vec::with_capacity(count);
        for (image, position) in normals.iter().zip(0_u32..) {
            let keys = image.normal.iter().filter(|&&key| key >= cut);
            top.extend(keys.map(|&key| (key, position)));
        }
        top.par_sort_unstable_by(|a, b| b.cmp(a));
        let mut levels: Vec<(u32, f64)> = Vec::new();
        let mut rate = 0.0;
        for (key, image) in top {
            if levels.last().is_none_or(|&(last, _)| last != key) {
                if rate > upper * (1.0 + 1e-6) {
                    break;
                }
                levels.push((key, rate));
            }
            rate += weight(normals[image as usize]);
            if let Some(last) = levels.last_mut() {
                last.1 = rate;
            }
        }
        levels
    }

    /// The share of the range over which a pixel with this key counts as found. Keys come from the
    /// largest to the smallest.
    fn coverage(&mut self, value_key: u32) -> f64 {
        if self.defined.is_err() {
            return 0.0;
        }
        while let Some(&(key, rate)) = self.levels.get(self.next)
            && key > value_key
        {
            self.rate = rate;
            self.next += 1;
        }
        let after = match self.levels.get(self.next) {
            Some(&(key, rate)) if key == value_key => rate,
            _ => self.rate,
        };
        self.range.coverage(self.rate, after).even
    }

    fn finish(&self, images: &[&ImagePixels], coverages: &[f64]) -> (Outcome, Vec<Option<f64>>) {
        if let Err(reason) = self.defined {
            return (Err(reason), vec![None; images.len()]);
        }
        let by_image: Vec<Option<f64>> = images
            .iter()
            .zip(coverages)
            .map(|(image, coverage)| {
                let pixels = image.anomalous.len();
                (pixels > 0).then(|| (coverage / pixels as f64).clamp(0.0, 1.0))
            })
            .collect();
        let anomalous = by_image.iter().flatten();
        let (sum, count) = anomalous.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
        (Ok(Figure::exact(sum / f64::from(count))), by_image)
    }
}
