//! What goes in, and what comes out.

use crate::curve::CurvePoint;
use crate::error::Error;
use crate::outcome::Outcome;

/// One image's map and truth.
#[derive(Clone, Copy, Debug)]
pub struct ImageMap<'a> {
    /// Anomaly of every pixel, [height, width] in row-major order; more is more anomalous.
    pub map: &'a [f32],
    /// Anomalous pixels are those that are not 0; `None` for a normal image. An image with a mask is
    /// anomalous even if none of its pixels are.
    pub mask: Option<&'a [u8]>,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl ImageMap<'_> {
    /// Refuses what cannot be used. `image` is the position to name.
    pub(crate) fn check(&self, image: usize) -> Result<(), Error> {
        let (width, height) = (self.width, self.height);
        let pixels = width as u128 * height as u128;
        if pixels == 0 || pixels > u128::from(u32::MAX) {
            return Err(Error::UnusableSize {
                image,
                width,
                height,
            });
        }
        let lengths = [
            ("map", Some(self.map.len())),
            ("mask", self.mask.map(<[u8]>::len)),
        ];
        for (what, found) in lengths {
            if let Some(found) = found.filter(|&found| found as u128 != pixels) {
                return Err(Error::WrongSize {
                    what,
                    image,
                    found,
                    expected: pixels,
                    width,
                    height,
                });
            }
        }
        // Folding without leaving early is what compilers turn into vector instructions.
        if self.map.iter().fold(true, |all, v| all & v.is_finite()) {
            return Ok(());
        }
        let at = self.map.iter().position(|value| !value.is_finite());
        let at = at.unwrap_or_default();
        Err(Error::NotFinite {
            image,
            x: at % width,
            y: at / width,
            value: self.map[at],
        })
    }
}

/// Constants of the pixel metrics. The defaults are those of the official evaluation and of AUPIMO's
/// authors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelOptions {
    /// Both AUPRO figures end at this false-positive rate: above 0, at most 1.
    pub fpr_limit: f64,
    /// Evenly spaced thresholds of [`PixelReport::aupro_steps`]: 1 to 1,000,000.
    pub aupro_steps: usize,
    /// AUPIMO's bounds of the normal images' false-positive rate: above 0, rising, at most 1.
    pub aupimo_bounds: [f64; 2],
    /// How densely to keep points of the curves: none is left out that is further than 1 / this
    /// from one that is kept, in any rate. 0 for no curve; at most 100,000.
    pub curve_points: usize,
}

impl Default for PixelOptions {
    fn default() -> Self {
        Self {
            fpr_limit: 0.3,
            aupro_steps: 200,
            aupimo_bounds: [1e-5, 1e-4],
            curve_points: 200,
        }
    }
}

impl PixelOptions {
    pub(crate) fn check(&self) -> Result<(), Error> {
        // Comparisons are false for NaN, so that is refused as well.
        let share = |value: f64| value > 0.0 && value <= 1.0;
        let [lower, upper] = self.aupimo_bounds;
        let checks = [
            (
                share(self.fpr_limit),
                "fpr_limit",
                self.fpr_limit.to_string(),
                "above 0 and at most 1",
            ),
            (
                (1..=1_000_000).contains(&self.aupro_steps),
                "aupro_steps",
                self.aupro_steps.to_string(),
                "from 1 to 1,000,000",
            ),
            (
                share(lower) && share(upper) && lower < upper,
                "aupimo_bounds",
                format!("{lower} to {upper}"),
                "two rates above 0 and at most 1, the smaller first",
            ),
            (
                self.curve_points <= 100_000,
                "curve_points",
                self.curve_points.to_string(),
                "at most 100,000",
            ),
        ];
        for (holds, option, found, expected) in checks {
            if !holds {
                return Err(Error::InvalidOption {
                    option,
                    found,
                    expected,
                });
            }
        }
        Ok(())
    }
}

/// The pixel figures of one category.
#[derive(Clone, Debug, PartialEq)]
pub struct PixelReport {
    /// Images in all.
    pub images: usize,
    /// Normal images: those without a mask.
    pub normal_images: usize,
    /// Pixels of all images.
    pub pixels: u64,
    /// Anomalous pixels of all images.
    pub anomalous_pixels: u64,
    /// 8-connected regions of anomalous pixels.
    pub regions: u64,
    /// Area under the receiver operating characteristic.
    pub auroc: Outcome,
    /// Average precision: the step-wise sum of precision times gain in recall.
    pub average_precision: Outcome,
    /// The largest F1 of all thresholds.
    pub f1_max: Outcome,
    /// The threshold of [`f1_max`](Self::f1_max), in the units of the maps: what *reaches* it counts
    /// as anomalous. In fixed memory its error bound is 0 because it is a value of the maps whose F1
    /// is as stated; another one may be as good within the bound of `f1_max`.
    pub threshold: Outcome,
    /// Intersection over union of what is *above* the threshold, as in the official evaluation.
    pub iou: Outcome,
    /// AUPRO as the official evaluation computes it: evenly spaced thresholds, rates below the limit,
    /// stretched to 0..1. Not comparable with [`aupro`](Self::aupro).
    pub aupro_steps: Outcome,
    /// AUPRO as `MVTec` defines it, and anomalib after it: every threshold, the integral up to the
    /// limit (interpolated there) over the limit.
    pub aupro: Outcome,
    /// AUPIMO: the mean over the anomalous images.
    pub aupimo: Outcome,
    /// AUPIMO of each image in the order in which they were added; `None` for normal images and such
    /// as were not asked for, and for all where [`aupimo`](Self::aupimo) is undefined. Empty in fixed
    /// memory.
    pub aupimo_by_image: Vec<Option<f64>>,
    /// Points of the curves, from the largest threshold to the smallest.
    pub curve: Vec<CurvePoint>,
}

impl PixelReport {
    /// Every figure with the name it has in result files.
    pub fn figures(&self) -> [(&'static str, Outcome); 8] {
        [
            ("pixel_auroc", self.auroc),
            ("pixel_ap", self.average_precision),
            ("pixel_f1_max", self.f1_max),
            ("pixel_iou", self.iou),
            ("threshold", self.threshold),
            ("aupro_200", self.aupro_steps),
            ("aupro_exact", self.aupro),
            ("aupimo", self.aupimo),
        ]
    }
}
