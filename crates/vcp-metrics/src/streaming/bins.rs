//! The bins that values are counted in.

use crate::key;

/// Added to values before their upper bits are taken: below it bins are equally wide (2^-26),
/// above it their width is a constant share of the value (2^-19 for values near 1).
const OFFSET: f64 = 1.0 / 256.0;

/// Bits of the mantissa that tell bins apart.
pub(super) const MANTISSA_BITS: u32 = 18;

/// Finds bins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binning {
    shift: u32,
}

impl Binning {
    pub(super) fn new(mantissa_bits: u32) -> Self {
        Self {
            shift: f64::MANTISSA_DIGITS - 1 - mantissa_bits,
        }
    }

    /// The bin of a value from 0 to 1: never smaller for a larger value.
    pub(super) fn bin_of(self, value: f32) -> usize {
        // Bits of positive numbers are ordered as the numbers are.
        let first = OFFSET.to_bits() >> self.shift;
        (((f64::from(value) + OFFSET).to_bits() >> self.shift) - first) as usize
    }

    pub(super) fn bins(self) -> usize {
        self.bin_of(1.0) + 1
    }
}

/// Pixels whose values are close together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bin {
    pub(super) positives: u64,
    pub(super) negatives: u64,
    /// Keys.
    pub(super) smallest: u32,
    pub(super) largest: u32,
    /// Sums over the anomalous pixels of 1 / area of the region, and of 1 / their number in the
    /// image.
    pub(super) region_weight: f64,
    pub(super) image_weight: f64,
    /// Sum over the pixels of normal images of 1 / pixels of the image.
    pub(super) normal_weight: f64,
}

impl Bin {
    pub(super) const EMPTY: Self = Self {
        positives: 0,
        negatives: 0,
        smallest: u32::MAX,
        largest: 0,
        region_weight: 0.0,
        image_weight: 0.0,
        normal_weight: 0.0,
    };

    pub(super) fn is_empty(&self) -> bool {
        self.positives == 0 && self.negatives == 0
    }

    pub(super) fn is_mixed(&self) -> bool {
        self.smallest != self.largest
    }

    pub(super) fn extend_to(&mut self, value: f32) {
        let key = key::from_value(value);
        self.smallest = self.smallest.min(key);
        self.largest = self.largest.max(key);
    }
}
